import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { optionalNameOf } from "./shared/flags.ts";
import { DATA } from "./shared/shared-flags.ts";

export const getSecretCommand = command({
  words: "get secret",
  aliases: ["secrets"],
  summary: "list the secrets, or show one (never a value)",
  arguments: [{ usage: "[name]", summary: "name of the secret" }],
  flags: [
    { usage: "--name <name>", summary: "name of the secret" },
    { usage: "--scope <scope>", summary: "scope of the secret: project, domain or organization" },
  ],
  outputs: DATA,
  examples: ["appctl get secrets", "appctl get secret --name AUTH_API_KEY"],
  exitCodes: [ExitCode.auth, ExitCode.unavailable, ExitCode.notFound],
  load: async () => {
    const { getSecret } = await import("./handlers/get-secret-handler.ts");
    return (io, flags, [name]) => getSecret(io, optionalNameOf(name, flags.name), flags);
  },
});
