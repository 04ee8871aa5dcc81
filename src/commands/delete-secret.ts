import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { nameOf } from "./shared/flags.ts";
import { DATA } from "./shared/shared-flags.ts";

export const deleteSecretCommand = command({
  words: "delete secret",
  aliases: ["secrets"],
  summary: "delete a secret with all its versions",
  arguments: [{ usage: "[name]", summary: "name of the secret" }],
  flags: [
    { usage: "--name <name>", summary: "name of the secret" },
    { usage: "--scope <scope>", summary: "scope of the secret: project, domain or organization" },
  ],
  outputs: DATA,
  examples: ["appctl delete secret --name AUTH_API_KEY"],
  exitCodes: [ExitCode.auth, ExitCode.unavailable, ExitCode.notFound, ExitCode.conflict],
  load: async () => {
    const { deleteSecret } = await import("./handlers/delete-secret-handler.ts");
    return (io, flags, [name]) => deleteSecret(io, nameOf("secret", name, flags.name), flags);
  },
});
