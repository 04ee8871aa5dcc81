/** Flags that several commands have, as data. `global-flags.ts` has those of all. */
import type { OutputMode } from "../../ui/io.ts";
import type { Flag } from "./command.ts";

export const DATA: readonly OutputMode[] = ["text", "json"];
export const DEPLOY: readonly OutputMode[] = ["text", "json", "ndjson", "url"];

/** Flags of commands that wait for the verdict of a deployment. */
export const WAIT_FLAGS: readonly Flag[] = [
  { usage: "--wait-timeout <duration>", summary: "longest wait for the result, such as 90s or 10m (default: 600s)" },
  { usage: "--no-wait", summary: "exit as soon as the platform accepts the deploy" },
  { usage: "--detach", summary: "alias of --no-wait" },
];

/** `--detach` is another name for `--no-wait`. */
export function waiting<F extends { wait: boolean; detach?: boolean }>(flags: F): F {
  return { ...flags, wait: flags.wait && !flags.detach };
}

/** Flags that give the value of a secret. */
export const SECRET_VALUE_FLAGS: readonly Flag[] = [
  { usage: "--name <name>", summary: "name of the secret" },
  { usage: "--scope <scope>", summary: "scope of the secret: project, domain or organization (default: project)" },
  { usage: "--value-file <file>", summary: "read the value from a file, every byte of it; - is stdin" },
  { usage: "--value <value>", summary: "value of the secret (visible in the process list)" },
  { usage: "--binary", summary: 'allow bytes that no environment variable can hold (for mount: "file")' },
];

/** Flags that give a new API key its name. */
export const KEY_FLAGS: readonly Flag[] = [
  { usage: "--name <name>", summary: "name of the key, and of the secret that stores it" },
  { usage: "--no-secret", summary: "do not store the key as a secret" },
  { usage: "--if-absent", summary: "succeed if a key of this name exists" },
];

/** Flags of a build. */
export const REGISTRY_FLAG: Flag = {
  usage: "--registry <address>",
  summary: "registry of the image, such as ghcr.io/my-org (default: registry of the ImageSpec)",
};
export const ALLOW_SCRIPTS_FLAG: Flag = { usage: "--allow-scripts", summary: "run install scripts of npm packages" };

/** Flags of a local platform that is started. */
export const SERVER_FLAGS: readonly Flag[] = [
  { usage: "--host <address>", summary: "address to listen on (default: last used, initially 127.0.0.1)" },
  {
    usage: "--base-domain <domain>",
    summary: "base domain of app URLs (default: last used, initially apps.localhost)",
  },
  {
    usage: "--url <url>",
    summary: "public URL of API and console (default: last used, initially http://localhost:PORT)",
  },
  {
    usage: "--runtime <name>",
    summary: "runtime of apps: process or docker (default: last used, initially process)",
  },
  {
    usage: "--gateway-workers <number>",
    summary: "number of gateway processes (default: 1)",
    range: [1, 64],
  },
];

/** The file and the App of `deploy` and `build`. */
export const FILE_ARGUMENTS = [
  { usage: "<file>", summary: "TypeScript file that exports the App" },
  { usage: "[name]", summary: "name of the App (required if the file has several)" },
] as const;
