import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { nameOf } from "./shared/flags.ts";
import { DATA } from "./shared/shared-flags.ts";

export const stopAppsCommand = command({
  words: "stop apps",
  aliases: ["app"],
  summary: "stop an app; its URL answers 503 until the app is started",
  arguments: [{ usage: "<name>", summary: "name of the app" }],
  outputs: DATA,
  examples: ["appctl stop apps fastapi-with-auth", "appctl stop fastapi-with-auth"],
  exitCodes: [ExitCode.auth, ExitCode.unavailable, ExitCode.notFound],
  load: async () => {
    const { stopApps } = await import("./handlers/stop-apps-handler.ts");
    return (io, flags, [name]) => stopApps(io, nameOf("app", name, undefined), flags);
  },
});
