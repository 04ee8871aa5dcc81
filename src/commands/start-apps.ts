import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { nameOf } from "./shared/flags.ts";
import { DEPLOY, WAIT_FLAGS, waiting } from "./shared/shared-flags.ts";

export const startAppsCommand = command({
  words: "start apps",
  aliases: ["app"],
  summary: "start a stopped app and wait until it serves",
  arguments: [{ usage: "<name>", summary: "name of the app" }],
  flags: [...WAIT_FLAGS],
  outputs: DEPLOY,
  examples: ["appctl start apps fastapi-with-auth", "appctl start fastapi-with-auth"],
  exitCodes: [
    ExitCode.failed,
    ExitCode.auth,
    ExitCode.unavailable,
    ExitCode.notFound,
    ExitCode.conflict,
    ExitCode.timeout,
  ],
  load: async () => {
    const { startApps } = await import("./handlers/start-apps-handler.ts");
    return (io, flags, [name]) => startApps(io, nameOf("app", name, undefined), waiting(flags));
  },
});
