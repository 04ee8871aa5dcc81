import { Buffer } from "node:buffer";
import { type LockedProject, type LockGraph, lockFault, originFault, type ReadLock, unusualAddress } from "./graph.ts";

interface Entry {
  version?: string;
  resolved?: string;
  integrity?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

/**
 * Reads a yarn.lock of Yarn 1. It says for each `name@range` of package.json or of a package which version that is, and
 * nothing of platforms, programs and peers.
 */
export function readYarnClassicLock(text: string, project: LockedProject, written: string): ReadLock {
  const entries = parseYarnClassic(text);
  const graph: LockGraph = { root: { dependencies: {}, optionalDependencies: {} }, packages: new Map() };
  const read: ReadLock = { graph, unsaid: ["platforms", "bins", "scripts"], faults: [] };
  const wanted: [id: string, name: string, entry: Entry][] = [];
  const ids = (from: string, ranges: Record<string, string> = {}): Record<string, string> => {
    const found = Object.entries(ranges)
      .sort(byName)
      .flatMap(([name, range]): [string, string][] => {
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
    dependencies: ids("package.json", without(project.dependencies, optionalDependencies)),
    optionalDependencies: ids("package.json", optionalDependencies),
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

function missing(entries: ReadonlyMap<string, Entry>, from: string, name: string, range: string, written: string) {
  const ranges = [...entries.keys()]
    .filter((key) => key.startsWith(`${name}@`))
    .map((key) => key.slice(name.length + 1));
  const has = ranges.length === 0 ? "does not have it" : `has it for ${ranges.join(", ")} alone`;
  return lockFault(`${from} asks for ${name} ${range}, and ${written} ${has}`);
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
