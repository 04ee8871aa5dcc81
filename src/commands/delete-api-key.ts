import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { nameOf } from "./shared/flags.ts";
import { DATA } from "./shared/shared-flags.ts";

export const deleteApiKeyCommand = command({
  words: "delete api-key",
  aliases: ["api-keys"],
  summary: "revoke an API key; the next request with it is refused",
  arguments: [{ usage: "[name]", summary: "name of the key" }],
  flags: [{ usage: "--name <name>", summary: "name of the key" }],
  outputs: DATA,
  examples: ["appctl delete api-key MY_APPCTL_API_KEY"],
  exitCodes: [ExitCode.auth, ExitCode.unavailable, ExitCode.notFound, ExitCode.conflict],
  load: async () => {
    const { deleteApiKey } = await import("./handlers/delete-api-key-handler.ts");
    return (io, flags, [name]) => deleteApiKey(io, nameOf("API key", name, flags.name), flags);
  },
});
