/** A process, as the contract's program sees it. */
import { readFileSync } from "node:fs";
import type { Behaviour, Machine } from "../program.ts";

/** The behaviour that lies beside a program. */
export function behaviourBeside(url: string): Behaviour {
  return JSON.parse(readFileSync(new URL("behaviour.json", url), "utf8"));
}

/** This process. */
export const machine: Machine = {
  env: process.env,
  readFile: readFileSync,
  print: (stream, bytes) => void process[stream].write(bytes),
  exit: (code) => process.exit(code),
  onTerm(handler) {
    // In the place of what the server shim does.
    process.removeAllListeners("SIGTERM");
    process.on("SIGTERM", handler);
  },
};
