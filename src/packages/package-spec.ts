import { type Fault, usageError } from "../core/errors.ts";

/** A package that an image asks for. `range` is a version, a range or a tag as npm writes them; absent: no pin. */
export interface PackageSpec {
  name: string;
  range?: string;
}

/** Where the list stands in the user's file, for messages. */
export const PACKAGES_FIELD = "containerImage.packages";

const NAME = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/i;
const PARTIAL = String.raw`v?(?:\d+|[xX*])(?:\.(?:\d+|[xX*])(?:\.(?:\d+|[xX*])(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)?)?`;
const COMPARATOR = String.raw`(?:[<>]=?|=|~>?|\^)?\s*${PARTIAL}`;
const SIMPLE = String.raw`(?:${PARTIAL}\s+-\s+${PARTIAL}|${COMPARATOR}(?:\s+${COMPARATOR})*)`;
const RANGE = new RegExp(String.raw`^${SIMPLE}(?:\s*\|\|\s*${SIMPLE})*$`);
const TAG = /^[A-Za-z][A-Za-z0-9._-]*$/;
const EXACT = /^[=v]*(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)(?:\+[0-9A-Za-z.-]+)?$/;

/** The version that `range` pins exactly, or undefined for ranges and tags. */
export function exactVersion(range: string | undefined): string | undefined {
  return range === undefined ? undefined : EXACT.exec(range)?.[1];
}

/**
 * Reads a list of `name` and `name@range`, sorted by name. Throws one usage error (INVALID_PACKAGES) with a fault for every
 * entry that is anything else: URLs, git addresses, files, aliases, and one package with two pins.
 */
export function parsePackages(list: readonly string[]): PackageSpec[] {
  const faults: Fault[] = [];
  const specs = new Map<string, PackageSpec>();
  for (const [index, text] of list.entries()) {
    const fault = (message: string, hint?: string) =>
      faults.push({ path: `${PACKAGES_FIELD}[${index}]`, message, ...(hint === undefined ? {} : { hint }) });
    const trimmed = text.trim();
    const at = trimmed.indexOf("@", 1);
    const name = at < 0 ? trimmed : trimmed.slice(0, at);
    const range = at < 0 ? undefined : trimmed.slice(at + 1).trim();
    const source = foreignSource(trimmed, range);
    if (source !== undefined) {
      fault(
        `"${withoutUserinfo(trimmed)}" is ${source}; packages come from an npm registry`,
        "write name or name@version",
      );
    } else if (!NAME.test(name) || name.length > 214) {
      fault(
        `"${trimmed}" is not the name of an npm package`,
        /^[^@]+[=<>~^]/.test(trimmed)
          ? `a version goes after an @: ${trimmed.replace(/[=<>~^].*/s, "")}@1.2.3`
          : "write it as npm does: hono, @hono/node-server@2.1.9",
      );
    } else if (range !== undefined && !RANGE.test(range) && !TAG.test(range)) {
      fault(
        `"${range}" is not a version of ${name}${/^=?=/.test(range) ? " (npm pins with one @, not with ==)" : ""}`,
        `write a version, a range or a tag: ${name}@1.2.3, ${name}@^1.2, ${name}@latest`,
      );
    } else {
      const before = specs.get(name);
      if (before !== undefined && before.range !== range) {
        fault(`${name} is there twice, as ${before.range ?? "any version"} and as ${range ?? "any version"}`);
      }
      specs.set(name, range === undefined ? { name } : { name, range });
    }
  }
  if (faults.length > 0) {
    throw usageError(
      faults.length === 1 ? "a package of the image is not valid" : "packages of the image are not valid",
      {
        code: "INVALID_PACKAGES",
        faults,
      },
    );
  }
  return [...specs.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What npm takes besides names and versions, in the order in which it is recognised. */
const FOREIGN: [pattern: RegExp, what: string][] = [
  [/^npm:/, "an alias"],
  [/^(?:git[+:@]|ssh:|github:|gitlab:|bitbucket:|gist:)|\.git(?:#|$)/, "a git address"],
  [/^(?:https?|ftp):/, "a URL"],
  [/^(?:file:|link:|workspace:|portal:|patch:|\.{0,2}\/|~\/|[A-Za-z]:[\\/])|\.(?:tgz|tar\.gz)$/, "a file or a folder"],
];

/** What `text` is, when it names something that does not come from a registry. */
function foreignSource(text: string, range: string | undefined): string | undefined {
  const parts = range === undefined ? [text] : [text, range];
  const what = FOREIGN.find(([pattern]) => parts.some((part) => pattern.test(part)))?.[1];
  if (what !== undefined) return what;
  if (/^[\w.-]+\/[\w.-]+(?:#.*)?$/.test(text)) return "a git address (GitHub's short form)";
  return undefined;
}

function withoutUserinfo(text: string): string {
  return text.replace(/\/\/[^/@\s]+@/g, "//***@");
}
