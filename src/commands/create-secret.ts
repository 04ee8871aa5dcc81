import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { nameOf } from "./shared/flags.ts";
import { DATA, SECRET_VALUE_FLAGS } from "./shared/shared-flags.ts";

export const createSecretCommand = command({
  words: "create secret",
  aliases: ["secrets"],
  summary: "store a secret (value from a hidden prompt, a file or stdin)",
  arguments: [{ usage: "[name]", summary: "name of the secret" }],
  flags: [...SECRET_VALUE_FLAGS, { usage: "--if-absent", summary: "succeed if the secret exists, without a change" }],
  outputs: DATA,
  examples: [
    "appctl create secret --name AUTH_API_KEY",
    "appctl create secret --name TLS_KEY --value-file key.pem",
    'printf %s "$TOKEN" | appctl create secret --name TOKEN --value-file -',
  ],
  exitCodes: [ExitCode.auth, ExitCode.unavailable, ExitCode.conflict],
  load: async () => {
    const { createSecret } = await import("./handlers/write-secret-handler.ts");
    return (io, flags, [name]) => createSecret(io, nameOf("secret", name, flags.name), flags);
  },
});
