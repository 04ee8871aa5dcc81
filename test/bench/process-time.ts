/** Whole processes, by the clock. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** The repository's root. */
export const repository = join(import.meta.dirname, "..", "..");
/** The CLI that is measured: the built one. */
export const cli = join(repository, "bin", "appctl.js");

/** This process's environment without what changes every start of Node, and without configuration of appctl's. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const named = /^(?:NODE_|APPCTL_|XDG_|CI$|NO_COLOR$|FORCE_COLOR$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !named.test(name)));
}

/** Milliseconds from the start of a Node process to its end, with both its outputs read; it has to end with 0. */
export async function nodeTime(
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<number> {
  const start = performance.now();
  const child = spawn(process.execPath, args, {
    env: plainEnvironment(),
    ...options,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = await once(child, "close");
  const time = performance.now() - start;
  if (code !== 0) throw new Error(`node ${args.join(" ")} ended with ${code}\n${output}`);
  return time;
}

/** The floor of everything that is a command: Node that does nothing. */
export const emptyNode = (): Promise<number> => nodeTime(["-e", "0"]);
