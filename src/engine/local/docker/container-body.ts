/** From a revision to what the engine is asked for: plain data, that `POST /containers/create` takes as it is. */
import { LIMITS } from "../../../contract/limits.ts";
import type { AppRef, AppSpec } from "../../../contract/types.ts";
import { bytesOf, coresOf } from "../amounts.ts";
import type { MountedFile } from "./app-images.ts";
import { LAUNCH_DIR } from "./launch-command.ts";

/** Labels by which a platform finds what is its own. */
export const Label = {
  platform: "appctl.platform",
  project: "appctl.project",
  domain: "appctl.domain",
  app: "appctl.app",
  revision: "appctl.revision",
  replica: "appctl.replica",
} as const;

/** Nobody in particular: the number that images without a root user have agreed on. */
export const USER = "65532:65532";
/** What `/tmp` may hold when the App says nothing. It is memory. */
export const DEFAULT_TMP = "256Mi";

/** How a replica is reached. */
export type ContainerNetwork =
  /** The project's own; `port` is the container's, published on 127.0.0.1 under a number of the kernel's choice. */
  | { mode: "bridge"; name: string; port: number; hosts: string[] }
  /** The machine's, where the engine has no bridge. */
  | { mode: "host" };

/** What a container is made from. */
export interface ContainerPlan {
  /** Names the platform, so that it finds its own again. */
  platform: string;
  ref: AppRef;
  revision: string;
  replica: string;
  /** Reference of an image that the engine has. */
  image: string;
  spec: Pick<AppSpec, "limits" | "kind" | "sharedMemory">;
  /** Program and arguments. */
  program: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Directory of this machine that the container gets, read only, as {@link LAUNCH_DIR}. */
  launchDir: string | undefined;
  /** Files of this machine that the container gets, read only. */
  appFiles: readonly MountedFile[];
  network: ContainerNetwork;
  /** The engine can give a mount in memory an owner. Podman cannot. */
  tmpOwner: boolean;
  /** The engine has a first process that passes signals on and buries the dead. */
  init: boolean;
}

/** The body of `POST /containers/create`, as far as it is used here (Docker Engine API, "ContainerCreate"). */
export interface ContainerBody {
  Image: string;
  Entrypoint: string[];
  Cmd: string[];
  Env: string[];
  User: string;
  WorkingDir: string;
  Labels: Record<string, string>;
  ExposedPorts?: Record<string, Record<string, never>>;
  HostConfig: Record<string, unknown>;
}

/** Puts it together. */
export function containerBody(plan: ContainerPlan): ContainerBody {
  const { ref, spec, network } = plan;
  const [program = "", ...args] = plan.program;
  const { cpu, mem, ephemeralStorage } = spec.limits;
  const port = network.mode === "bridge" ? `${network.port}/tcp` : undefined;
  const launch = plan.launchDir === undefined ? [] : [{ source: plan.launchDir, target: LAUNCH_DIR }];
  const mounted = [...launch, ...plan.appFiles];
  return {
    Image: plan.image,
    // Both, so that an entry point of the base image has no say.
    Entrypoint: [program],
    Cmd: args,
    Env: Object.entries(plan.env).map(([name, value]) => `${name}=${value}`),
    User: USER,
    WorkingDir: "/app",
    Labels: {
      [Label.platform]: plan.platform,
      [Label.project]: ref.project,
      [Label.domain]: ref.domain,
      [Label.app]: ref.name,
      [Label.revision]: plan.revision,
      [Label.replica]: plan.replica,
    },
    ...(port === undefined ? {} : { ExposedPorts: { [port]: {} } }),
    HostConfig: {
      // Without swap: what is over the limit is over.
      ...(mem === undefined ? {} : { Memory: bytesOf(mem), MemorySwap: bytesOf(mem) }),
      ...(cpu === undefined ? {} : { NanoCpus: Math.round(coresOf(cpu) * 1e9) }),
      ...(spec.sharedMemory === undefined ? {} : { ShmSize: bytesOf(spec.sharedMemory) }),
      PidsLimit: LIMITS.replicaTasks.value,
      ReadonlyRootfs: true,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      Privileged: false,
      IpcMode: "private",
      Tmpfs: {
        "/tmp": [
          "rw,nosuid,nodev,noexec,mode=1777",
          // runc gives it the mode that the image's /tmp has, whatever is said here.
          ...(plan.tmpOwner ? ["uid=65532,gid=65532"] : []),
          `size=${bytesOf(ephemeralStorage ?? DEFAULT_TMP)}`,
        ].join(),
      },
      RestartPolicy: { Name: "no" },
      // Output is read from the container itself; a copy that the engine keeps would only grow.
      LogConfig: { Type: "none" },
      Init: plan.init,
      NetworkMode: network.mode === "bridge" ? network.name : "host",
      ...(port === undefined ? {} : { PortBindings: { [port]: [{ HostIp: "127.0.0.1", HostPort: "" }] } }),
      ...(network.mode === "bridge" && network.hosts.length > 0 ? { ExtraHosts: network.hosts } : {}),
      ...(mounted.length === 0 ? {} : { Mounts: mounted.map(({ source, target }) => bound(source, target)) }),
    },
  };
}

function bound(source: string, target: string) {
  return { Type: "bind", Source: source, Target: target, ReadOnly: true };
}
