/** What Node's permission model has refused an app, read from the error that the app printed. */

import type { Permission } from "../contract/types.ts";

/** A refusal in words. */
export interface Denial {
  message: string;
  hint: string;
}

/**
 * The last refusal in `lines` of stderr, as `util.inspect` prints the error's properties. `permissions`: what the app has.
 */
export function denialIn(lines: readonly string[], permissions: readonly Permission[] = []): Denial | undefined {
  const ask = (permission: Permission) =>
    `to let it: permissions: ${JSON.stringify([...permissions, permission].sort()).replaceAll(",", ", ")} in the App`;
  const at = lines.findLastIndex((line) => /code: 'ERR_(?:ACCESS_DENIED|DLOPEN_DISABLED)'/.test(line));
  if (at < 0) return undefined;
  if (lines[at]?.includes("DLOPEN")) {
    return { message: "it may not load native code (a .node file)", hint: ask("addons") };
  }
  const around = lines.slice(at, at + 4).join("\n");
  const resource = /resource: '([^']*)'/.exec(around)?.[1] ?? "";
  switch (/permission: '(\w+)'/.exec(around)?.[1]) {
    case "ChildProcess":
      return { message: "it may not start programs", hint: ask("child-process") };
    case "WorkerThreads":
      return { message: "it may not start worker threads", hint: ask("worker") };
    case "FileSystemWrite":
      return {
        message: `it may not write ${resource || "there"}`,
        hint: "an app writes below os.tmpdir() and os.homedir(); these files go with the replica",
      };
    case "FileSystemRead":
      return {
        message: `it may not read ${resource || "there"}`,
        hint: 'files that the app needs are shipped with it: include: ["…"] in the App',
      };
    default:
      return { message: "it did something that an app may not do", hint: "the app's log has the error" };
  }
}
