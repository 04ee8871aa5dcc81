/** The pipe to the process that started this one, out of the app's way. One byte says that the app listens. */
import { Socket } from "node:net";

/** This process's end of the pipe. */
export interface Channel {
  /** Says that the app listens. */
  listening(): void;
}

/** Any byte: the other end reads none of its value. */
const LISTENING = "\n";

/** How often a process whose pipe is closed looks whether its parent still lives, in milliseconds. */
const LOOK_MS = 250;

/**
 * Opens the pipe with the descriptor `fd`; undefined when there is none, as in a container. The process ends when its parent is
 * gone, which closes the pipe. An app that closes the descriptor itself goes on, and the pipe keeps no app alive that has
 * nothing left to do.
 */
export function openChannel(fd: string | undefined): Channel | undefined {
  if (fd === undefined) return undefined;
  const parent = process.ppid;
  const pipe = new Socket({ fd: Number(fd), readable: true, writable: true, allowHalfOpen: true });
  pipe.on("error", () => undefined); // the parent is gone: "close" follows
  pipe.once("close", endWithParent);
  pipe.once("end", endWithParent);
  pipe.resume();
  pipe.unref();
  function endWithParent(): void {
    const look = () => {
      // A process whose parent has died gets another one. That comes a moment after the parent's pipes close.
      if (process.ppid !== parent) process.exit(0);
    };
    look();
    setInterval(look, LOOK_MS).unref();
  }
  return { listening: () => void pipe.write(LISTENING) };
}
