import { isAppctlError } from "../../../core/errors.ts";
import type { OciLayout } from "../../../oci/layout.ts";
import { parseReference } from "../../../oci/model.ts";
import { RegistryError } from "./registry-fault.ts";

/** `<name>:<tag>` as the store keeps it. Throws TAG_INVALID. */
export function referenceOf(name: string, tag: string): string {
  try {
    if (/^\w[\w.-]{0,127}$/.test(tag)) {
      parseReference(`${name}:${tag}`); // the layout's own grammar is narrower
      return `${name}:${tag}`;
    }
  } catch (error) {
    if (!isAppctlError(error)) throw error;
  }
  const message = "a tag must be letters and digits, joined by one '-', '.' or '_'";
  throw new RegistryError(400, { code: "TAG_INVALID", message });
}

/** The tags of a repository, by pages as the client wants them. Throws NAME_UNKNOWN. */
export async function listTags(layout: OciLayout, name: string, query: URLSearchParams): Promise<Response> {
  const all = (await layout.references()).map(({ reference }) => parseReference(reference));
  const tags = all.filter((each) => each.name === name).map(({ tag }) => tag);
  if (tags.length === 0) {
    throw new RegistryError(404, { code: "NAME_UNKNOWN", message: `there is no repository ${name}` });
  }
  const { page, headers } = pageOf(tags, query, `/v2/${name}/tags/list`);
  return Response.json({ name, tags: page }, { headers });
}

/** The names of all repositories, by pages. */
export async function listRepositories(layout: OciLayout, query: URLSearchParams): Promise<Response> {
  const names = (await layout.references()).map(({ reference }) => parseReference(reference).name);
  const { page, headers } = pageOf(names, query, "/v2/_catalog");
  return Response.json({ repositories: page }, { headers });
}

function pageOf(items: string[], query: URLSearchParams, path: string) {
  const last = query.get("last") ?? "";
  const rest = [...new Set(items)].sort().filter((item) => item > last);
  const limit = /^\d{1,9}$/.exec(query.get("n") ?? "")?.[0];
  const page = rest.slice(0, limit === undefined ? rest.length : Number(limit));
  const next = page.at(-1);
  const headers: Record<string, string> = {};
  if (limit !== undefined && next !== undefined && page.length < rest.length) {
    headers["link"] = `<${path}?n=${limit}&last=${encodeURIComponent(next)}>; rel="next"`;
  }
  return { page, headers };
}
