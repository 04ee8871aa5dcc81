/** The channel to the platform that started this process (`process.send`), out of the app's way. */

/** The parent's end of the channel. */
export interface Channel {
  tell(message: { type: "listening" }): void;
}

/** How often a process whose channel is closed looks whether the platform still lives, in milliseconds. */
const LOOK_MS = 250;

/**
 * Takes the channel; undefined when there is none, as in a container. The process ends when the platform is gone, which the
 * closed channel tells. `process.send` is removed, so that an app does not take the platform for a process manager of its
 * own; an app that closes the channel itself goes on; and an app that has nothing left to do is not kept alive by it.
 */
export function takeChannel(): Channel | undefined {
  const send = process.send?.bind(process);
  if (!send) return undefined;
  const platform = process.ppid;
  process.on("disconnect", () => {
    const endWithPlatform = () => {
      // A process whose parent has died gets another one. That comes a moment after the parent's channels close.
      if (process.ppid !== platform) process.exit(0);
    };
    endWithPlatform();
    setInterval(endWithPlatform, LOOK_MS).unref();
  });
  process.channel?.unref();
  Reflect.deleteProperty(process, "send");
  return {
    tell(message) {
      send(message, undefined, {}, () => {
        // the platform is gone: "disconnect" follows
      });
    },
  };
}
