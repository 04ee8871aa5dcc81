import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { RuntimeName } from "../core/config.ts";
import { AppctlError, ExitCode, messageOf } from "../core/errors.ts";
import type { Paths } from "../core/paths.ts";
import { removeTree } from "../core/remove-tree.ts";
import { OciLayout } from "../oci/layout.ts";
import { ReplicaKeeper } from "../supervisor/replica-keeper.ts";
import { createRuntime } from "./create-runtime.ts";
import { tryLock } from "./process-lock.ts";

/** The folders of `paths` that exist, in the order in which they are removed. */
export function resetFolders({ runtime, shared, cache, state }: Paths): string[] {
  // The state is the last one: it holds the lock, and its absence is what says that a reset is complete.
  return [runtime, shared, cache, state].filter((dir) => dir !== undefined).filter((dir) => existsSync(dir));
}

/**
 * Removes everything that the local platform and this user's builds keep on this machine, except the configuration file. Ends
 * replicas that a killed platform left behind first. The platform must not run: throws PLATFORM_RUNNING when it does.
 * Returns the folders that it removed.
 */
export async function resetPlatform(options: {
  paths: Paths;
  runtime: RuntimeName;
  env: NodeJS.ProcessEnv;
  log(message: string): void;
}): Promise<string[]> {
  const { paths } = options;
  const folders = resetFolders(paths);
  if (!existsSync(paths.state)) {
    for (const dir of folders) await removeTree(dir);
    return folders;
  }
  const lock = tryLock(join(paths.state, "platform.lock"));
  if (!lock) {
    throw new AppctlError({
      code: "PLATFORM_RUNNING",
      exit: ExitCode.conflict,
      message: `a platform that does not answer uses the state directory ${paths.state}; nothing was removed`,
      hint: "end that process, then reset again",
      next: ["appctl platform logs"],
    });
  }
  try {
    await endReplicas(options);
    for (const dir of folders) await removeTree(dir);
  } finally {
    lock.release();
  }
  return folders;
}

/** Ends replicas that outlived their platform. An engine that does not answer any more keeps no reset back. */
async function endReplicas({ paths, runtime: name, env, log }: Parameters<typeof resetPlatform>[0]): Promise<void> {
  const images = new OciLayout(join(paths.state, "images"));
  const none = () => {
    throw new Error("a reset reads no secret");
  };
  try {
    await mkdir(paths.runtime, { recursive: true, mode: 0o700 });
    const runtime = await createRuntime(name, {
      paths,
      stateDir: paths.state,
      images,
      readSecret: none,
      env,
      host: new ReplicaKeeper(),
      log,
    });
    await runtime.recover();
    await runtime.close();
  } catch (error) {
    log(`replicas of a killed platform may be left: ${messageOf(error)}`);
  }
}
