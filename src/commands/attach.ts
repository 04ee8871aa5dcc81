import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { nameOf } from "./shared/flags.ts";
import { DEPLOY, WAIT_FLAGS, waiting } from "./shared/shared-flags.ts";

export const attachCommand = command({
  words: "attach",
  summary: "follow a deploy and wait for its result",
  arguments: [{ usage: "<name>", summary: "name of the app" }],
  flags: [{ usage: "--deployment <number>", summary: "number of the deploy (default: the latest)" }, ...WAIT_FLAGS],
  outputs: DEPLOY,
  examples: ["appctl attach fastapi-with-auth", "appctl attach fastapi-with-auth --deployment 3"],
  exitCodes: [
    ExitCode.failed,
    ExitCode.auth,
    ExitCode.unavailable,
    ExitCode.notFound,
    ExitCode.conflict,
    ExitCode.timeout,
  ],
  load: async () => {
    const { attach } = await import("./handlers/attach-handler.ts");
    return (io, flags, [name]) => attach(io, nameOf("app", name, undefined), waiting(flags));
  },
});
