/**
 * The flags that every command has: what a handler gets, and the data of help and reference. A flag that says where the command
 * goes is in `TARGET_FLAGS` of `core/command-line.ts`, too: commands to type next repeat it.
 */
import type { ColorMode, OutputMode } from "../../ui/io.ts";
import type { Flag } from "./command.ts";

/** Values of {@link globalFlags}. */
export interface CommonFlags {
  project?: string;
  domain?: string;
  config?: string;
  endpoint?: string;
  port?: number;
  output: OutputMode;
  color: ColorMode;
  verbose: boolean;
}

/** Flags of every command, for one with these outputs. They may also be given before the verb. */
export function globalFlags(outputs: readonly OutputMode[]): Flag[] {
  return [
    { usage: "-o, --output <mode>", summary: `output: ${outputs.join(", ")} (default: text)` },
    { usage: "--project <name>", summary: "name of the project (default: default)" },
    { usage: "--domain <name>", summary: "name of the domain (default: development)" },
    { usage: "--config <file>", summary: "configuration file (default: ~/.config/appctl/config.yaml)" },
    { usage: "--endpoint <url>", summary: "URL of the platform (default: in the API key, else the local platform)" },
    { usage: "--port <number>", summary: "port of the local platform (default: 7654)", range: [1, 65_535] },
    {
      usage: "--color <when>",
      summary: "when to use color (default: auto)",
      choices: ["auto", "always", "never"],
    },
    { usage: "--verbose", summary: "show the time of each step, and the stack of an error" },
  ];
}
