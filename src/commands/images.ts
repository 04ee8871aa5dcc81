import { ExitCode } from "../core/errors.ts";
import { command } from "./shared/command.ts";
import { DATA } from "./shared/shared-flags.ts";

export const imagesCommand = command({
  words: "images",
  summary: "list the images on the platform, and the revisions that run them",
  outputs: DATA,
  examples: ["appctl images", "appctl images -o json"],
  exitCodes: [ExitCode.auth, ExitCode.unavailable],
  load: async () => {
    const { listImages } = await import("./handlers/images-handler.ts");
    return (io, flags) => listImages(io, flags);
  },
});
