/** A process, as the contract's program sees it. */
import { readFileSync, statfsSync } from "node:fs";
import type { Behaviour, Machine } from "../program.ts";

/** The behaviour that lies beside a program. */
export function behaviourBeside(url: string): Behaviour {
  return JSON.parse(readFileSync(new URL("behaviour.json", url), "utf8"));
}

/** `tmpfs`, as statfs(2) numbers it. */
const TMPFS = 0x01021994;

/** This process. */
export const machine: Machine = {
  env: process.env,
  readFile: readFileSync,
  isInMemory: (path) => statfsSync(path).type === TMPFS,
  print: (stream, bytes) => void process[stream].write(bytes),
  exit: (code) => process.exit(code),
  onTerm(handler) {
    // In the place of what the server shim does.
    process.removeAllListeners("SIGTERM");
    process.on("SIGTERM", handler);
  },
};
