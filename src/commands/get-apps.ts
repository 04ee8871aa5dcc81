import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { optionalNameOf } from "./shared/flags.ts";

export const getAppsCommand = command({
  words: "get apps",
  aliases: ["app"],
  summary: "list the apps, or show one",
  arguments: [{ usage: "[name]", summary: "name of the app" }],
  outputs: ["text", "json", "url"],
  examples: ["appctl get apps", "appctl get apps fastapi-with-auth -o json", "curl $(appctl get apps web -o url)/"],
  exitCodes: [ExitCode.auth, ExitCode.unavailable, ExitCode.notFound],
  load: async () => {
    const { getApps } = await import("./handlers/get-apps-handler.ts");
    return (io, flags, [name]) => getApps(io, optionalNameOf(name, undefined), flags);
  },
});
