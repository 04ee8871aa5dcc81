import { Buffer } from "node:buffer";
import type { Fault } from "../../core/errors.ts";
import {
  type LockedProject,
  type LockGraph,
  lockFault,
  originFault,
  type ReadLock,
  unusualAddress,
} from "./lock-graph.ts";

interface Entry {
  version?: string;
  resolved?: string;
  integrity?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

const ROOT = "package.json";
const RESOLUTIONS = "the resolutions of package.json";

/**
 * Reads a yarn.lock of Yarn 1. It says for each `name@range` of package.json or of a package which version that is, and
 * nothing of platforms, programs and peers.
 */
export function readYarnClassicLock(text: string, project: LockedProject, written: string): ReadLock {
  const entries = parseYarnClassic(text);
  const graph: LockGraph = { root: { dependencies: {}, optionalDependencies: {} }, packages: new Map() };
  const read: ReadLock = { graph, unsaid: ["platforms", "bins", "scripts"], faults: [] };
  const rules = readResolutions(project.resolutions);
  const wanted: [id: string, name: string, entry: Entry][] = [];
  const ids = (asks: string, ranges: Record<string, string> = {}): Record<string, string> => {
    const found = Object.entries(ranges)
      .sort(byName)
      .flatMap(([name, asked]): [string, string][] => {
        const refused = rules.flatMap((rule) =>
          rule.name === name && rule.path ? pathFault(rule, entries, written) : [],
        );
        if (refused.length > 0) {
          read.faults.push(...refused);
          return [];
        }
        // Yarn leaves what package.json asks for itself as it is.
        const rule = asks === ROOT ? undefined : rules.find((rule) => rule.name === name && !rule.path);
        const [from, range] = rule === undefined ? [asks, asked] : [RESOLUTIONS, rule.range];
        const entry = entries.get(`${name}@${range}`);
        const real = /^npm:(@?[^@]+)/.exec(range)?.[1] ?? name;
        const fault =
          originFault(name, range) ?? (entry?.version ? undefined : missing(entries, from, name, range, written));
        if (fault !== undefined || entry === undefined) {
          if (fault !== undefined) read.faults.push(fault);
          return [];
        }
        const id = `${real}@${entry.version}`;
        wanted.push([id, real, entry]);
        return [[name, id]];
      });
    return Object.fromEntries(found);
  };
  const { optionalDependencies = {} } = project;
  graph.root = {
    dependencies: ids(ROOT, without(project.dependencies, optionalDependencies)),
    optionalDependencies: ids(ROOT, optionalDependencies),
  };
  for (let next = wanted.shift(); next !== undefined; next = wanted.shift()) {
    const [id, name, { version = "", resolved, integrity, dependencies, optionalDependencies }] = next;
    if (graph.packages.has(id)) continue;
    const sha1 = /#([0-9a-f]{40})$/.exec(resolved ?? "")?.[1];
    graph.packages.set(id, {
      ...{ name, version },
      // Before Yarn 1.10 there was no more than this.
      integrity: integrity ?? (sha1 && `sha1-${Buffer.from(sha1, "hex").toString("base64")}`),
      resolved: unusualAddress(resolved, name, version),
      peers: [],
      dependencies: ids(name, without(dependencies, optionalDependencies)),
      optionalDependencies: ids(name, optionalDependencies),
    });
  }
  return read;
}

/** One of the `resolutions` of package.json. Those with a path, such as `a/b`, are for some that ask for `name`. */
interface Rule {
  pattern: string;
  name: string;
  range: string;
  path: boolean;
}

// `b` and `**/b` are for all that ask for b.
function readResolutions(resolutions: Record<string, string> = {}): Rule[] {
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

function nameOf(key: string): string {
  return key.slice(0, key.indexOf("@", 1));
}

function missing(entries: ReadonlyMap<string, Entry>, from: string, name: string, range: string, written: string) {
  const ranges = [...entries.keys()].filter((key) => nameOf(key) === name).map((key) => key.slice(name.length + 1));
  const has = ranges.length === 0 ? "does not have it" : `has it for ${ranges.join(", ")} alone`;
  return lockFault(`${from} ask${from === RESOLUTIONS ? "" : "s"} for ${name} ${range}, and ${written} ${has}`);
}

function byName([a]: [string, string], [b]: [string, string]): number {
  return a < b ? -1 : 1;
}

function without(ranges: Record<string, string> = {}, others: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(ranges).filter(([name]) => others[name] === undefined));
}

/** A word of a line: quoted as in JSON, or up to a space or comma. */
const WORD = /"(?:[^"\\]|\\.)*"|[^\s",]+/g;

/** Entries by each `name@range` that they are for. The format looks like YAML, and is none. */
function parseYarnClassic(text: string): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  let entry: Entry = {};
  let section: Record<string, string> | undefined;
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
