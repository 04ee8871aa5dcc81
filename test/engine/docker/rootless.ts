/** What it takes to run an engine as a user who is not root, beyond the engine. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Users for those in containers, and a network that needs no rights. */
const PROGRAMS = ["newuidmap", "slirp4netns"];
/** The run mounts its own over the first two, and makes the device in the last. */
const PATHS = ["/etc/subuid", "/etc/subgid", "/dev/net"];

/** What of it this machine lacks. */
export function missingForUsers(): string[] {
  return [
    ...PROGRAMS.filter((program) => spawnSync(program, ["--version"]).error),
    ...PATHS.filter((path) => !existsSync(path)),
  ];
}
