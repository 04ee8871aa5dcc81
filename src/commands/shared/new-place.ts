/** Projects and domains come into being with what is put into them, so a mistyped one has to be seen. */
import { nearest } from "../../app/nearest.ts";
import type { Client, Scope } from "../../client/client.ts";
import { commandLine } from "../../core/command-line.ts";
import { AppctlError, isAppctlError } from "../../core/errors.ts";
import type { Io } from "../../ui/io.ts";

/** Says on stderr that a project or a domain does not exist yet, before something is put into it. */
export async function reportNewPlace(io: Io, client: Client, scope: Scope): Promise<void> {
  const text = await missingPlace(client, scope, "is new");
  if (text !== undefined) io.stderr.write(`${text}\n`);
}

/** `project "typo" does not exist`, with the nearest that does; undefined for a project and a domain that exist. */
export async function missingPlace(
  client: Client,
  { project, domain }: Scope,
  verb = "does not exist",
): Promise<string | undefined> {
  if (project === "default" && domain === "development") return undefined;
  const projects = await client.listProjects();
  const domains = projects.find(({ name }) => name === project)?.domains;
  if (!domains && project !== "default") {
    return textOf("project", project, verb, ["default", ...projects.map(({ name }) => name)]);
  }
  // The default domain is nobody's mistake.
  if (domain === "development" || domains?.includes(domain)) return undefined;
  return textOf("domain", domain, verb, ["development", ...(domains ?? [])]);
}

/** Commands that list what a NOT_FOUND is about, by how its message begins. */
const LISTS: readonly (readonly [kind: RegExp, words: string[]])[] = [
  [/^(?:app|revision) /, ["get", "apps"]],
  [/^secret /, ["get", "secrets"]],
  [/^API key /, ["get", "api-keys"]],
];

/**
 * `error` of the platform. A NOT_FOUND gets the command that lists what exists; when its project or domain does not exist, the
 * hint says that instead.
 */
export async function withMissingPlace(error: unknown, client: Client, scope: Scope): Promise<unknown> {
  if (!isAppctlError(error) || error.code !== "NOT_FOUND") return error;
  // The first error is the one to report, whatever becomes of this question.
  const hint = await missingPlace(client, scope).catch(() => undefined);
  const [, words] = LISTS.find(([kind]) => kind.test(error.message)) ?? [];
  if (hint === undefined && (words === undefined || error.next.length > 0)) return error;
  const more = hint === undefined ? { next: [commandLine(words as string[], scope)] } : { hint };
  return new AppctlError({ ...error, ...more, message: error.message, cause: error.cause });
}

function textOf(kind: string, name: string, verb: string, known: string[]): string {
  const near = nearest(name, known);
  return `${kind} "${name}" ${verb}${near === undefined ? "" : ` (did you mean "${near}"?)`}`;
}
