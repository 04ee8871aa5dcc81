/** Projects and domains come into being with what is put into them, so a mistyped one has to be seen. */
import { nearest } from "../../app/nearest.ts";
import type { Client, Scope } from "../../client/client.ts";
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

/** `error` of the platform; when something does not exist because its project or domain does not, the hint says that. */
export async function withMissingPlace(error: unknown, client: Client, scope: Scope): Promise<unknown> {
  if (!isAppctlError(error) || error.code !== "NOT_FOUND") return error;
  // The first error is the one to report, whatever becomes of this question.
  const hint = await missingPlace(client, scope).catch(() => undefined);
  return hint === undefined ? error : new AppctlError({ ...error, message: error.message, hint, cause: error.cause });
}

function textOf(kind: string, name: string, verb: string, known: string[]): string {
  const near = nearest(name, known);
  return `${kind} "${name}" ${verb}${near === undefined ? "" : ` (did you mean "${near}"?)`}`;
}
