import { type ColorMode, isCi } from "./io.ts";
import type { Output } from "./streams.ts";

/** Text with colour or without. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

const same = (text: string) => text;

/** The {@link Style} without colour. */
export const PLAIN: Style = { bold: same, dim: same, red: same, green: same, yellow: same, cyan: same };

/**
 * Whether `stream` gets colour: `--color`, then NO_COLOR (no-color.org), then FORCE_COLOR (force-color.org), then whether
 * it is a terminal that can, outside CI.
 */
export function usesColor(stream: Output, env: NodeJS.ProcessEnv, mode: ColorMode = "auto"): boolean {
  if (mode !== "auto") return mode === "always";
  if (env["NO_COLOR"]) return false;
  const force = env["FORCE_COLOR"];
  if (force !== undefined && force !== "") return force !== "0" && force.toLowerCase() !== "false";
  return stream.isTTY === true && env["TERM"] !== "dumb" && !isCi(env);
}

/** The {@link Style} for `stream`. chalk is loaded only when there is colour to draw. */
export async function styleOf(stream: Output, env: NodeJS.ProcessEnv, mode: ColorMode = "auto"): Promise<Style> {
  if (!usesColor(stream, env, mode)) return PLAIN;
  const { Chalk } = await import("chalk");
  const chalk = new Chalk({ level: 1 });
  return {
    bold: (text) => chalk.bold(text),
    dim: (text) => chalk.dim(text),
    red: (text) => chalk.red(text),
    green: (text) => chalk.green(text),
    yellow: (text) => chalk.yellow(text),
    cyan: (text) => chalk.cyan(text),
  };
}
