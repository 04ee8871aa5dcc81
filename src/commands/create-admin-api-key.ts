import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { nameOf } from "./shared/flags.ts";
import { DATA, KEY_FLAGS } from "./shared/shared-flags.ts";

export const createAdminApiKeyCommand = command({
  words: "create admin-api-key",
  summary: "create an API key, show it once and store it as a secret",
  arguments: [{ usage: "[name]", summary: "name of the key" }],
  flags: [...KEY_FLAGS],
  outputs: DATA,
  examples: [
    "appctl create admin-api-key --name MY_APPCTL_API_KEY",
    "APPCTL_API_KEY=$(appctl create admin-api-key --name CI --no-secret)",
  ],
  exitCodes: [ExitCode.auth, ExitCode.unavailable, ExitCode.conflict],
  load: async () => {
    const { createApiKey } = await import("./handlers/create-api-key-handler.ts");
    return (io, flags, [name]) => createApiKey(io, nameOf("API key", name, flags.name), flags);
  },
});
