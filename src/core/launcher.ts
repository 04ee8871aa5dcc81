import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { quoted } from "./command-line.ts";
import { isExecutable } from "./is-executable.ts";

/** How each package manager runs a command of an installed package. */
const RUNNERS: Readonly<Record<string, string>> = {
  npm: "npx appctl",
  pnpm: "pnpm exec appctl",
  yarn: "yarn appctl",
  bun: "bunx appctl",
};

/** The lockfile of each package manager. */
const LOCKFILE_NAMES: Readonly<Record<string, string>> = {
  "package-lock.json": "npm",
  "pnpm-lock.yaml": "pnpm",
  "yarn.lock": "yarn",
  "bun.lock": "bun",
};

/**
 * The words that start appctl from `cwd`, for commands that a person types next: `appctl` where `PATH` has it, `npx appctl`
 * and its like in a project that has it installed, else Node with the path of `script`.
 *
 * A package manager that runs this process names itself in `npm_config_user_agent` and puts its own folder of commands on
 * `PATH`, which the person's shell does not have.
 */
export function launcherOf(env: NodeJS.ProcessEnv, cwd: string, script: string): string {
  const [agent = ""] = (env["npm_config_user_agent"] ?? "").split("/");
  if (RUNNERS[agent] !== undefined) return RUNNERS[agent];
  if ((env["PATH"] ?? "").split(delimiter).some((dir) => dir !== "" && isExecutable(join(dir, "appctl"))))
    return "appctl";
  const project = ancestors(cwd).find((dir) => existsSync(join(dir, "node_modules", ".bin", "appctl")));
  if (project === undefined) return `node ${quoted(script)}`;
  const [, manager = "npm"] =
    Object.entries(LOCKFILE_NAMES).find(([name]) => ancestors(project).some((dir) => existsSync(join(dir, name)))) ??
    [];
  return RUNNERS[manager] as string;
}

function ancestors(dir: string): string[] {
  const parent = dirname(dir);
  return parent === dir ? [dir] : [dir, ...ancestors(parent)];
}
