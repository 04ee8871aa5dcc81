import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { optionalNameOf } from "./shared/flags.ts";
import { DATA } from "./shared/shared-flags.ts";

export const getApiKeyCommand = command({
  words: "get api-key",
  aliases: ["api-keys"],
  summary: "list the API keys, or show one (never the key itself)",
  arguments: [{ usage: "[name]", summary: "name of the key" }],
  flags: [{ usage: "--name <name>", summary: "name of the key" }],
  outputs: DATA,
  examples: ["appctl get api-keys", "appctl get api-key MY_APPCTL_API_KEY -o json"],
  exitCodes: [ExitCode.auth, ExitCode.unavailable, ExitCode.notFound],
  load: async () => {
    const { getApiKey } = await import("./handlers/get-api-key-handler.ts");
    return (io, flags, [name]) => getApiKey(io, optionalNameOf(name, flags.name), flags);
  },
});
