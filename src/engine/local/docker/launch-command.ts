/**
 * How a container gets what nobody may read in `docker inspect`: as files of a directory that lies in this machine's memory
 * and is mounted into the container. Values of variables are put into the environment by what starts the program; secrets
 * that are mounted as files lie there as they are.
 */
import type { AppSpec } from "../../../contract/types.ts";

/** Where the directory is in a container. */
export const LAUNCH_DIR = "/run/appctl";
/** Secrets that are mounted as files. */
export const FILES_DIR = `${LAUNCH_DIR}/files`;
const NODE_FILE = "env.cjs";
const SHELL_FILE = "env.sh";

/** What a replica gets and `docker inspect` does not show. */
export interface LaunchSecrets {
  /** Values of secrets by variable. */
  variables: Readonly<Record<string, string>>;
  /** What the server shim demands of each request. Only the program itself gets it, not what it starts. */
  token: string | undefined;
}

/** A file of the directory. */
export interface LaunchFile {
  name: string;
  text: string;
}

/** How to start the program of a spec, and the file with which that is done; undefined when there are no secrets. */
export function launchCommand(
  spec: Pick<AppSpec, "kind" | "args" | "command">,
  { variables, token }: LaunchSecrets,
): { program: string[]; file: LaunchFile | undefined } {
  const secret = token !== undefined || Object.keys(variables).length > 0;
  const [first = "", ...args] = spec.args ?? [];
  if (spec.kind === "framework" || (spec.kind === "args" && first === "node")) {
    const rest = ["--enable-source-maps", ...(spec.kind === "framework" ? ["/app/serve.mjs"] : args)];
    if (!secret) return { program: ["node", ...rest], file: undefined };
    return {
      program: ["node", "--require", `${LAUNCH_DIR}/${NODE_FILE}`, ...rest],
      file: { name: NODE_FILE, text: nodeText(variables, token) },
    };
  }
  const program = spec.kind === "command" ? ["/bin/sh", "-c", spec.command ?? ""] : [first, ...args];
  if (!secret) return { program, file: undefined };
  return {
    program: ["/bin/sh", "-c", `. ${LAUNCH_DIR}/${SHELL_FILE}; exec "$@"`, "sh", ...program],
    file: { name: SHELL_FILE, text: shellText(variables) },
  };
}

/** Node runs it before the program, and again in each thread and each fork, which take their environment from their parent. */
function nodeText(variables: Readonly<Record<string, string>>, token: string | undefined): string {
  return [
    `Object.assign(process.env, ${JSON.stringify(variables)});`,
    ...(token === undefined
      ? []
      : [
          `if (require("node:worker_threads").isMainThread && process.send === undefined)`,
          `  process.env.APPCTL_REPLICA_TOKEN = ${JSON.stringify(token)};`,
        ]),
    "",
  ].join("\n");
}

/** In single quotes every byte is itself, save for the quote. */
function shellText(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`)
    .join("");
}
