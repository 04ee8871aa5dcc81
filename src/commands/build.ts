import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { ALLOW_SCRIPTS_FLAG, DATA, FILE_ARGUMENTS, REGISTRY_FLAG } from "./shared/shared-flags.ts";

export const buildCommand = command({
  words: "build",
  summary: "build the image of an app without deploying it",
  arguments: FILE_ARGUMENTS,
  flags: [
    REGISTRY_FLAG,
    { usage: "--push", summary: "push the image to the registry (default: keep it on this machine)" },
    ALLOW_SCRIPTS_FLAG,
  ],
  outputs: DATA,
  examples: [
    "appctl build app.ts fastapi-with-auth",
    "appctl build app.ts fastapi-with-auth --registry ghcr.io/my-org --push",
    "appctl build app.ts web --push -o json",
  ],
  exitCodes: [ExitCode.auth, ExitCode.notFound, ExitCode.unavailable, ExitCode.build],
  load: async () => {
    const { build } = await import("./handlers/build-handler.ts");
    return (io, flags, [file = "", name]) => build(io, file, name, flags);
  },
});
