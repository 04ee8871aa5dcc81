import type { Permission } from "../contract/types.ts";

/** Node's own modules that do what an app has to be permitted to do. */
const MODULES: Record<string, Permission> = {
  child_process: "child-process",
  cluster: "child-process",
  worker_threads: "worker",
};

/**
 * The permissions that an app needs, read from the imports of its code (`imported`: the specifiers that are left in the bundle)
 * and from whether it uses packages with machine code. In alphabetical order.
 */
export function neededPermissions(imported: Iterable<string>, hasNative: boolean): Permission[] {
  const needed = new Set<Permission>(hasNative ? ["addons"] : []);
  for (const specifier of imported) {
    const permission = MODULES[specifier.replace(/^node:/, "")];
    if (permission) needed.add(permission);
  }
  return [...needed].sort();
}
