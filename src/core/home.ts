import { userInfo } from "node:os";

/** The user's home folder: `HOME`, else the one in the user database. Undefined when neither names one. */
export function homeOf(env: NodeJS.ProcessEnv): string | undefined {
  if (env["HOME"]?.startsWith("/")) return env["HOME"];
  try {
    const { homedir } = userInfo();
    return homedir.startsWith("/") ? homedir : undefined;
  } catch {
    return undefined; // a container's user need not have an entry
  }
}
