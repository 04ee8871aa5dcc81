/** What an engine says of itself that changes how containers are run on it. */
import type { AppSpec } from "../../../contract/types.ts";
import type { EngineApi } from "../../../core/engine-api.ts";

/** Whether a limit of a container is kept. */
export interface KeptLimits {
  cpu: boolean;
  mem: boolean;
  tasks: boolean;
}

/** The answer to `GET /info` (Docker Engine API, "SystemInfo"), as far as it matters here. Podman adds `Rootless`. */
export interface SystemInfo {
  MemoryLimit?: boolean;
  CpuCfsQuota?: boolean;
  PidsLimit?: boolean;
  CgroupDriver?: string;
  CgroupVersion?: string;
  Rootless?: boolean;
  SecurityOptions?: string[] | null;
}

/** What it says; an engine that says nothing in time has nothing unusual. */
export async function infoOf(api: EngineApi): Promise<SystemInfo> {
  return api.soon<SystemInfo>("/info").catch(() => ({}));
}

/** Whether SELinux confines its containers: there a container may read no file that has not been marked for containers. */
export function hasSelinux({ SecurityOptions }: SystemInfo): boolean {
  return (SecurityOptions ?? []).some((option) => /(?:^|name=)selinux\b/.test(option));
}

/**
 * Which limits it keeps. An engine that may not write control groups takes a container with limits all the same, and leaves
 * them out. A rootless Podman on version 1 does so while it says that it has them (seen with 4.3).
 */
export function keptLimits(info: SystemInfo, isPodman: boolean): KeptLimits {
  const none = info.CgroupDriver === "none" || (isPodman && info.Rootless === true && info.CgroupVersion === "1");
  return {
    cpu: !none && info.CpuCfsQuota !== false,
    mem: !none && info.MemoryLimit !== false,
    tasks: !none && info.PidsLimit !== false,
  };
}

/** What an App asks for and will not have. `engine` is its name. */
export function unkeptLimits({ limits }: AppSpec, kept: KeptLimits, engine: string): string[] {
  return (["cpu", "mem"] as const)
    .filter((limit) => limits[limit] !== undefined && !kept[limit])
    .map((limit) => `limits.${limit} (${limits[limit]}) is not enforced: ${engine} keeps none here`);
}
