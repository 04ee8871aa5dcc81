/**
 * npm package specs (`hono`, `hono@4.13.19`, `@scope/x@^1.2`) and names. The forms are those of npm-package-arg that name a
 * package of a registry; paths, URLs, git and tarballs are not.
 */
import { builtinModules } from "node:module";
import { type Fault, usageError } from "../core/errors.ts";

/** A package that an image asks for. `range` is a version, a range or a tag as npm writes them; absent: no pin. */
export interface PackageSpec {
  name: string;
  range?: string;
}

/** The list in the user's file, for messages. */
export const PACKAGES_FIELD = "containerImage.packages";

/** Letters of both cases: old packages have upper-case ones. */
const NAME_PATTERN = "(?:@[A-Za-z0-9~-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*";
const NAME = new RegExp(`^${NAME_PATTERN}$`);
const MAX_NAME = 214;
const RANGE_PATTERN = "[\\w.*^~<>=|+ -]+";
const RANGE_TEXT = new RegExp(`^${RANGE_PATTERN}$`);
const builtins = new Set(builtinModules);

/** Source of a regular expression for what {@link parseSpec} reads. */
export const SPEC_PATTERN = `${NAME_PATTERN}(?:@${RANGE_PATTERN})?`;

/** Source of a regular expression for names in lockfiles, which may also begin with an underscore. */
export const LOCKED_NAME_PATTERN = String.raw`(?:@[\w~-][\w.~-]*/)?[\w~-][\w.~-]*`;
/** The path of a package in a lock of npm: `node_modules/a/node_modules/@b/c`. */
export const LOCKED_PATH = new RegExp(`^node_modules/${LOCKED_NAME_PATTERN}(?:/node_modules/${LOCKED_NAME_PATTERN})*$`);

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

/** Splits `name@range` at the `@` that does not begin a scope. Whether the parts are a name and a range is not checked. */
export function splitSpec(text: string): PackageSpec {
  const trimmed = text.trim();
  const at = trimmed.indexOf("@", 1);
  return at < 0 ? { name: trimmed } : { name: trimmed.slice(0, at), range: trimmed.slice(at + 1).trim() };
}

/** Reads `name` or `name@range`; undefined for everything else (paths, URLs, git, aliases). */
export function parseSpec(text: string): PackageSpec | undefined {
  const spec = splitSpec(text);
  const isRange = spec.range === undefined || RANGE_TEXT.test(spec.range);
  return isPackageName(spec.name) && isRange ? spec : undefined;
}

/** The package that a bare import is from: `hono/factory` → `hono`. Undefined for built-ins, paths, URLs and aliases. */
export function packageNameOf(importPath: string): string | undefined {
  const [first = "", second] = importPath.split("/", 2);
  if (first.includes(":") || builtins.has(importPath) || builtins.has(first)) return undefined;
  const name = first.startsWith("@") ? (second ? `${first}/${second}` : undefined) : first;
  return name && NAME.test(name) ? name : undefined;
}

function isPackageName(text: string): boolean {
  return text.length <= MAX_NAME && NAME.test(text);
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
    const { name, range } = splitSpec(trimmed);
    const source = foreignSource(trimmed, range);
    if (source !== undefined) {
      fault(
        `"${withoutUserinfo(trimmed)}" is ${source}; packages come from an npm registry`,
        "write name or name@version",
      );
    } else if (!isPackageName(name)) {
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
