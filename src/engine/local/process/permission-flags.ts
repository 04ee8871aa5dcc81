/** Node's permission model (nodejs.org/api/permissions.html) for a replica. Its flags are not V8's, so they cost no time. */
import type { Permission } from "../../../contract/types.ts";

/** What a replica may do. Paths are absolute directories; one that is not there when it starts is not opened later. */
export interface PermissionPlan {
  /** May be read. */
  read: readonly string[];
  /** May be read and written. */
  write: readonly string[];
  permissions: readonly Permission[];
  /** Major version of the Node that gets the flags. */
  nodeMajor: number;
}

/** What every program of the machine may read: libraries, certificates, time zones, names. Nothing in it is secret. */
const PUBLIC = [
  "/usr/",
  "/lib/",
  "/lib64/",
  "/bin/",
  "/etc/ssl/certs/",
  "/etc/ssl/openssl.cnf",
  "/etc/pki/tls/certs/",
  "/etc/pki/tls/openssl.cnf",
  "/etc/pki/ca-trust/",
  "/etc/hosts",
  "/etc/hostname",
  "/etc/localtime",
  "/etc/timezone",
  "/etc/mime.types",
  "/etc/os-release",
  "/etc/resolv.conf",
  "/proc/cpuinfo",
  "/proc/loadavg",
  "/proc/meminfo",
  "/proc/version",
];
/** Node's own warnings that a permission widens the model: the platform has decided it, the app's log need not say so. */
const NOTICES: Record<Permission, string> = { addons: "PERM0001", "child-process": "PERM0002", worker: "PERM0006" };
/** From this version on the model closes the network, too. */
const CLOSES_NETWORK = 25;

/** The flags. */
export function permissionFlags({ read, write, permissions, nodeMajor }: PermissionPlan): string[] {
  return [
    // A neighbour's signal must not open the debugger of this one.
    "--disable-sigusr1",
    "--permission",
    ...[...PUBLIC, "/dev/null", ...read, ...write].map((path) => `--allow-fs-read=${path}`),
    ...["/dev/null", ...write].map((path) => `--allow-fs-write=${path}`),
    ...permissions.flatMap((permission) => [`--allow-${permission}`, `--disable-warning=${NOTICES[permission]}`]),
    ...(nodeMajor >= CLOSES_NETWORK ? ["--allow-net"] : []),
  ];
}
