import { Buffer } from "node:buffer";
import type { Fault } from "../../core/errors.ts";
import {
  type LockedProject,
  type LockGraph,
  lockFault,
  mapRanges,
  originFault,
  type Ranges,
  type ReadLock,
  unusualAddress,
  without,
} from "./lock-graph.ts";

interface Entry {
  version?: string;
  resolved?: string;
  integrity?: string;
  dependencies?: Ranges;
  optionalDependencies?: Ranges;
}

const ROOT = "package.json";
const RESOLUTIONS = "the resolutions of package.json";

/**
 * Reads a yarn.lock of Yarn 1. It says for each `name@range` of package.json or of a package which version that is, and
 * nothing of platforms, programs and peers.
 */
export function readYarnClassicLock(text: string, project: LockedProject, written: string): ReadLock {
  const entries = parseYarnClassic(text);
  const faults: Fault[] = [];
  const rules = readResolutions(project.resolutions);
  const needed = new Map<string, [name: string, entry: Entry]>();
  const packages: LockGraph["packages"] = new Map();
  const ids = (from: string, ranges: Ranges | undefined): Ranges =>
    mapRanges(sorted(ranges), (name, requested) => {
      const ruled = rules.flatMap((rule) => (rule.name === name && rule.path ? pathFault(rule, entries, written) : []));
      faults.push(...ruled);
      if (ruled.length > 0) return undefined;
      // Yarn leaves what package.json asks for itself as it is.
      const rule = from === ROOT ? undefined : rules.find((rule) => rule.name === name && !rule.path);
      const [by, range] = rule === undefined ? [from, requested] : [RESOLUTIONS, rule.range];
      const entry = entries.get(`${name}@${range}`);
      const realName = /^npm:(@?[^@]+)/.exec(range)?.[1] ?? name;
      const fault =
        originFault(name, range) ?? (entry?.version ? undefined : missing(entries, by, name, range, written));
      if (fault !== undefined) faults.push(fault);
      if (fault !== undefined || entry === undefined) return undefined;
      const id = `${realName}@${entry.version}`;
      needed.set(id, [realName, entry]);
      return id;
    });
  const needs = (from: string, { dependencies, optionalDependencies }: LockedProject) => ({
    dependencies: ids(from, without(dependencies, optionalDependencies)),
    optionalDependencies: ids(from, optionalDependencies),
  });
  const root = needs(ROOT, project);
  for (const [id, [name, entry]] of needed) {
    const { version = "", resolved, integrity } = entry;
    const sha1 = /#([0-9a-f]{40})$/.exec(resolved ?? "")?.[1];
    packages.set(id, {
      ...{ name, version },
      // Before Yarn 1.10 there was no more than this.
      integrity: integrity ?? (sha1 && `sha1-${Buffer.from(sha1, "hex").toString("base64")}`),
      resolved: unusualAddress(resolved, name, version),
      peers: [],
      ...needs(name, entry),
    });
  }
  return { graph: { root, packages }, unsaid: ["platforms", "bins", "scripts"], faults };
}

/** One of the `resolutions` of package.json. Those with a path, such as `a/b`, are for some that ask for `name`. */
interface Rule {
  pattern: string;
  name: string;
  range: string;
  path: boolean;
}

// `b` and `**/b` are for all that ask for b.
function readResolutions(resolutions: Ranges = {}): Rule[] {
  return Object.entries(resolutions).map(([pattern, range]) => {
    const parts = pattern.match(/@[^/]+\/[^/]+|[^/]+/g) ?? [];
    return { pattern, name: parts.pop() ?? "", range, path: parts.some((part) => part !== "**") };
  });
}

/**
 * The fault of a rule with a path. Yarn 1 does not write for whom a version is, and takes by the range alone the next time:
 * there is one answer only where the lock has one version.
 */
function pathFault({ pattern, name, range }: Rule, entries: ReadonlyMap<string, Entry>, written: string): Fault[] {
  const versions = new Set([...entries].filter(([key]) => nameOf(key) === name).map(([, { version }]) => version));
  if (!entries.has(`${name}@${range}`)) return [missing(entries, RESOLUTIONS, name, range, written)];
  if (versions.size === 1) return [];
  return [
    lockFault(
      `${RESOLUTIONS} have ${pattern} at ${range}, and ${written}, which has ${name} ${[...versions].sort().join(" and ")}, does not say who gets it`,
      `Give all the same: "resolutions": { "${name}": "${range}" }.`,
    ),
  ];
}

function sorted(ranges: Ranges = {}): Ranges {
  return Object.fromEntries(Object.entries(ranges).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function nameOf(key: string): string {
  return key.slice(0, key.indexOf("@", 1));
}

function missing(entries: ReadonlyMap<string, Entry>, from: string, name: string, range: string, written: string) {
  const ranges = [...entries.keys()].filter((key) => nameOf(key) === name).map((key) => key.slice(name.length + 1));
  const has = ranges.length === 0 ? "does not have it" : `has it for ${ranges.join(", ")} alone`;
  return lockFault(`${from} ask${from === RESOLUTIONS ? "" : "s"} for ${name} ${range}, and ${written} ${has}`);
}

/** A word of a line: quoted as in JSON, or up to a space or comma. */
const WORD = /"(?:[^"\\]|\\.)*"|[^\s",]+/g;

/** Entries by each `name@range` that they are for. The format looks like YAML, and is none. */
function parseYarnClassic(text: string): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  let entry: Entry = {};
  let section: Ranges | undefined;
  text.split(/\r?\n/).forEach((line, index) => {
    if (line.trim() === "" || line.startsWith("#")) return;
    const indent = line.length - line.trimStart().length;
    const opens = line.endsWith(":");
    const words = ((opens ? line.slice(0, -1) : line).match(WORD) ?? []).map((word) =>
      word.startsWith('"') ? String(JSON.parse(word)) : word,
    );
    const [key = "", value] = words;
    if (indent === 0 && opens) {
      entry = {};
      for (const pattern of words) entries.set(pattern, entry);
    } else if (indent === 2 && opens && words.length === 1) {
      section = {};
      Object.assign(entry, { [key]: section });
    } else if (indent === 2 && words.length === 2) Object.assign(entry, { [key]: value });
    else if (indent === 4 && words.length === 2 && section !== undefined) section[key] = value ?? "";
    else throw new Error(`line ${index + 1} is not understood: ${line.trim().slice(0, 80)}`);
  });
  return entries;
}
