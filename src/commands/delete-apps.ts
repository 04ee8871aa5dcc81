import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { nameOf } from "./shared/flags.ts";
import { DATA } from "./shared/shared-flags.ts";

export const deleteAppsCommand = command({
  words: "delete apps",
  aliases: ["app"],
  summary: "delete an app and its revisions, but not its secrets",
  arguments: [{ usage: "<name>", summary: "name of the app" }],
  flags: [{ usage: "-y, --yes", summary: "delete without asking" }],
  outputs: DATA,
  examples: ["appctl delete apps fastapi-with-auth", "appctl delete apps fastapi-with-auth --yes"],
  exitCodes: [ExitCode.failed, ExitCode.auth, ExitCode.unavailable, ExitCode.notFound],
  load: async () => {
    const { deleteApps } = await import("./handlers/delete-apps-handler.ts");
    return (io, flags, [name]) => deleteApps(io, nameOf("app", name, undefined), flags);
  },
});
