/** What an engine says of itself that changes how containers are run on it. */
import type { EngineApi } from "../../../container-engine/docker-api.ts";
import type { AppSpec } from "../../../contract/types.ts";
import { messageOf } from "../../../core/errors.ts";

/** Whether a limit of a container is kept; undefined when the engine does not say. */
export interface KeptLimits {
  cpu: boolean | undefined;
  mem: boolean | undefined;
  tasks: boolean | undefined;
}

/** What matters here. */
export interface EngineInfo {
  /** There a container may read no file that has not been marked for containers. */
  hasSelinux: boolean;
  kept: KeptLimits;
}

/** The answer to `GET /info` (Docker Engine API, "SystemInfo"). */
interface SystemInfo {
  MemoryLimit?: boolean;
  CpuCfsQuota?: boolean;
  PidsLimit?: boolean;
  CgroupDriver?: string;
  SecurityOptions?: string[] | null;
}

/** The answer to Podman's own `GET /libpod/info`: the control groups that it may write, those of a user, too. */
interface LibpodInfo {
  host?: { cgroupControllers?: string[] | null };
}

/**
 * Asks it. An engine that may not write control groups takes a container with limits all the same, and leaves them out. Podman's
 * answer after Docker's API says nothing of that: it looks whether the machine has the limit, and for files of version 1.
 */
export async function infoOf(api: EngineApi, log: (message: string) => void): Promise<EngineInfo> {
  const unknown = (error: unknown) => {
    log(`the container engine does not say which limits it keeps: ${messageOf(error)}`);
    return {};
  };
  const info = await api.soon<SystemInfo>("/info").catch(unknown);
  if (!api.isPodman) return { hasSelinux: hasSelinux(info), kept: keptByDocker(info) };
  const { host }: LibpodInfo = api.hasLibpod ? await api.soon<LibpodInfo>("/libpod/info").catch(unknown) : {};
  return { hasSelinux: hasSelinux(info), kept: keptByPodman(host?.cgroupControllers ?? undefined) };
}

function hasSelinux({ SecurityOptions }: SystemInfo): boolean {
  return (SecurityOptions ?? []).some((option) => /(?:^|name=)selinux\b/.test(option));
}

function keptByDocker({ CgroupDriver, CpuCfsQuota, MemoryLimit, PidsLimit }: SystemInfo): KeptLimits {
  if (CgroupDriver === "none") return { cpu: false, mem: false, tasks: false };
  return { cpu: CpuCfsQuota, mem: MemoryLimit, tasks: PidsLimit };
}

function keptByPodman(controllers: string[] | undefined): KeptLimits {
  const has = (name: string) => controllers?.includes(name);
  return { cpu: has("cpu"), mem: has("memory"), tasks: has("pids") };
}

/** What an App asks for and will not have. `engine` is its name. */
export function unkeptLimits({ limits }: AppSpec, kept: KeptLimits, engine: string): string[] {
  return (["cpu", "mem"] as const)
    .filter((limit) => limits[limit] !== undefined && kept[limit] === false)
    .map((limit) => `limits.${limit} (${limits[limit]}) is not enforced: ${engine} keeps none here`);
}
