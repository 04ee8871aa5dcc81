import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import {
  ALLOW_SCRIPTS_FLAG,
  DEPLOY,
  FILE_ARGUMENTS,
  REGISTRY_FLAG,
  WAIT_FLAGS,
  waiting,
} from "./shared/shared-flags.ts";

export const deployAppsCommand = command({
  words: "deploy apps",
  aliases: ["app"],
  summary: "deploy the app that a file exports and wait until its public URL answers",
  arguments: FILE_ARGUMENTS,
  flags: [
    {
      usage: "--secret <key=source>",
      summary: "create a missing secret from KEY=@FILE, KEY=- (stdin) or KEY=env:VAR (repeatable)",
      repeatable: true,
    },
    REGISTRY_FLAG,
    ALLOW_SCRIPTS_FLAG,
    ...WAIT_FLAGS,
  ],
  outputs: DEPLOY,
  examples: [
    "appctl deploy apps app.ts fastapi-with-auth",
    "appctl deploy app.ts --secret AUTH_API_KEY=env:AUTH_API_KEY -o json",
    "appctl deploy app.ts web --no-wait",
  ],
  exitCodes: [
    ExitCode.failed,
    ExitCode.auth,
    ExitCode.notFound,
    ExitCode.conflict,
    ExitCode.unavailable,
    ExitCode.build,
    ExitCode.timeout,
  ],
  load: async () => {
    const { deployApps } = await import("./handlers/deploy-apps-handler.ts");
    return (io, flags, [file = "", name]) => deployApps(io, file, name, waiting(flags));
  },
});
