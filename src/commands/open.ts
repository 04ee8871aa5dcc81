import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { optionalNameOf } from "./shared/flags.ts";

export const openCommand = command({
  words: "open",
  summary: "print a one-time link that signs a browser in to the console",
  arguments: [{ usage: "[app]", summary: "name of the app whose page to open (default: all apps)" }],
  flags: [{ usage: "--browser", summary: "also open the link in the default browser" }],
  outputs: ["text", "json", "url"],
  examples: ["appctl open", "appctl open fastapi-with-auth --browser"],
  exitCodes: [ExitCode.auth, ExitCode.unavailable, ExitCode.notFound],
  load: async () => {
    const { open } = await import("./handlers/open-handler.ts");
    return (io, flags, [app]) => open(io, optionalNameOf(app, undefined), flags);
  },
});
