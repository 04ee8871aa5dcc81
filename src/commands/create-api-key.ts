import { ExitCode, usageError } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { nameOf } from "./shared/flags.ts";
import { DATA, KEY_FLAGS } from "./shared/shared-flags.ts";

export const createApiKeyCommand = command({
  words: "create api-key",
  summary: "create an API key of a kind (admin: same as create admin-api-key)",
  arguments: [{ usage: "<kind>", summary: "kind of the key: admin" }],
  flags: [...KEY_FLAGS],
  outputs: DATA,
  examples: ["appctl create api-key admin --name MY_APPCTL_API_KEY"],
  exitCodes: [ExitCode.auth, ExitCode.unavailable, ExitCode.conflict],
  load: async () => {
    const { createApiKey } = await import("./handlers/create-api-key-handler.ts");
    return async (io, flags, [kind]) => {
      if (kind !== "admin") throw usageError(`unknown kind of API key "${kind}" (expected admin)`);
      await createApiKey(io, nameOf("API key", undefined, flags.name), flags);
    };
  },
});
