import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { nameOf } from "./shared/flags.ts";
import { DEPLOY, WAIT_FLAGS, waiting } from "./shared/shared-flags.ts";

export const rollbackCommand = command({
  words: "rollback",
  summary: "move the traffic back to an earlier revision, with the secrets that it had",
  arguments: [
    { usage: "<name>", summary: "name of the app" },
    { usage: "[revision]", summary: "name of the revision (default: the previous one)" },
  ],
  flags: [...WAIT_FLAGS],
  outputs: DEPLOY,
  examples: ["appctl rollback fastapi-with-auth", "appctl rollback fastapi-with-auth fastapi-with-auth-00003"],
  exitCodes: [
    ExitCode.failed,
    ExitCode.auth,
    ExitCode.unavailable,
    ExitCode.notFound,
    ExitCode.conflict,
    ExitCode.timeout,
  ],
  load: async () => {
    const { rollback } = await import("./handlers/rollback-handler.ts");
    return (io, flags, [name, revision]) => rollback(io, nameOf("app", name, undefined), revision, waiting(flags));
  },
});
