import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * `env` with the folder of npm first on its PATH: npm then runs with the Node that it was installed with, which knows the
 * machine's certificates, and not with the project's own.
 */
export function withNpmsNode(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const path = env["PATH"] ?? "";
  const dir = path.split(delimiter).find((folder) => existsSync(join(folder, "npm")));
  return { ...env, PATH: dir === undefined ? path : `${dir}${delimiter}${path}` };
}
