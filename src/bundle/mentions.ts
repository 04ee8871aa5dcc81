/** The npm package specs (`hono`, `hono@4.13.19`, `@scope/x@^1.2`) that a source text mentions. */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { LOCKFILE_PATTERN } from "../contract/lockfiles.ts";
import { parseSpec, SPEC_PATTERN } from "../packages/package-spec.ts";
import { requiredNames } from "./required-names.ts";

/** Package specs that stand as string literals in a source text, other than as the source of an import. */
export interface Mentions {
  /** Literals with a version, in the order of the text: almost surely an entry of `ImageSpec.packages`. */
  pinned: Map<string, string>;
  /** Names without a version: any short word may be one, so they count only for packages that are imported. */
  bare: Set<string>;
}

const LITERAL = new RegExp(`(["'\`])(${SPEC_PATTERN})\\1`, "gi");
const AFTER_IMPORT = /(?:\bfrom|\bimport|\b(?:require|resolve|import)\s*\()\s*$/;
const LOCK_FILE = new RegExp(`(["'\`])((?:[^"'\`\\n]*/)?(?:${LOCKFILE_PATTERN}))\\1`, "g");
const RELATIVE_IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*["'](\.{1,2}\/[^"'\n]+)["']/g;

/** Adds what `text` mentions to `mentions`. */
export function collectMentions(text: string, mentions: Mentions): void {
  for (const match of text.matchAll(LITERAL)) {
    const literal = match[2] ?? "";
    if (AFTER_IMPORT.test(text.slice(Math.max(0, match.index - 24), match.index))) continue;
    const spec = parseSpec(literal);
    if (!spec) continue;
    if (spec.range === undefined) mentions.bare.add(spec.name);
    else if (!mentions.pinned.has(spec.name)) mentions.pinned.set(spec.name, literal);
  }
}

/** Enough for any file that a person writes by hand; a bigger one only costs a second bundling, never correctness. */
const MAX_FILES = 200;
const MAX_BYTES = 512 * 1024;

/**
 * What the entry and the files that it imports by relative paths mention. It runs while esbuild's service starts, so it
 * costs no time. It is a guess: the true list of packages is known only after the Apps were described.
 */
export function scanMentions(entry: string): Mentions {
  const mentions: Mentions = { pinned: new Map(), bare: new Set() };
  const seen = new Set<string>();
  const queue = [entry];
  for (let file = queue.shift(); file !== undefined && seen.size < MAX_FILES; file = queue.shift()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const text = readText(file);
    if (text === undefined) continue;
    collectMentions(text, mentions);
    // A lock file's name is probably an ImageSpec's requirements: what its project depends on stays outside.
    for (const [, , lockFile = ""] of text.matchAll(LOCK_FILE)) {
      for (const name of requiredNames(resolve(dirname(entry), lockFile))) mentions.bare.add(name);
    }
    for (const [, target = ""] of text.matchAll(RELATIVE_IMPORT)) {
      const found = sourceFileOf(join(dirname(file), target));
      if (found) queue.push(found);
    }
  }
  return mentions;
}

function sourceFileOf(path: string): string | undefined {
  const stem = path.replace(/\.[cm]?jsx?$/, "");
  const candidates = [path, ...[".ts", ".tsx", ".mts", ".js"].map((ext) => stem + ext), join(path, "index.ts")];
  return candidates.find((file) => /\.[cm]?[jt]sx?$/.test(file) && readText(file) !== undefined);
}

function readText(file: string): string | undefined {
  try {
    const text = readFileSync(file, "utf8");
    return text.length > MAX_BYTES ? undefined : text;
  } catch {
    return undefined; // esbuild reads the same file and reports what is wrong with it, with its place
  }
}
