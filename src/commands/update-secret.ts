import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { nameOf } from "./shared/flags.ts";
import { DATA, SECRET_VALUE_FLAGS } from "./shared/shared-flags.ts";

export const updateSecretCommand = command({
  words: "update secret",
  aliases: ["secrets"],
  summary: "change the value of a secret; running revisions keep theirs until the next deploy",
  arguments: [{ usage: "[name]", summary: "name of the secret" }],
  flags: [...SECRET_VALUE_FLAGS],
  outputs: DATA,
  examples: [
    "appctl update secret --name AUTH_API_KEY",
    "appctl update secret AUTH_API_KEY --value-file - < new-key.txt",
  ],
  exitCodes: [ExitCode.auth, ExitCode.unavailable, ExitCode.notFound],
  load: async () => {
    const { updateSecret } = await import("./handlers/write-secret-handler.ts");
    return (io, flags, [name]) => updateSecret(io, nameOf("secret", name, flags.name), flags);
  },
});
