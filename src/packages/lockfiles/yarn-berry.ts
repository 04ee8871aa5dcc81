import { splitSpec } from "../package-spec.ts";
import {
  disagreements,
  type LockedProject,
  type LockGraph,
  lockFault,
  mapRanges,
  originFault,
  pick,
  type Ranges,
  type ReadLock,
  requiredPeers,
  unusualAddress,
} from "./lock-graph.ts";

interface Entry {
  version: string;
  resolution: string;
  dependencies?: Ranges;
  dependenciesMeta?: Record<string, { optional?: string }>;
  peerDependencies?: Ranges;
  peerDependenciesMeta?: Record<string, { optional?: string }>;
  bin?: Record<string, string>;
  conditions?: string;
}

/**
 * Reads a yarn.lock of Yarn 2 and newer. Its checksums are over archives that Yarn makes itself, so no download can be
 * compared with them: packages have no integrity here, and are what the registry has for the locked version.
 */
export async function readYarnBerryLock(text: string, project: LockedProject, written: string): Promise<ReadLock> {
  const { parse } = await import("../../core/yaml.ts");
  // Without types: the range 1.10 is not the number 1.1.
  const { __metadata: metadata, ...parsed }: Record<string, Entry> = parse(text, { schema: "failsafe" });
  if (!(Number(metadata?.version) >= 4)) throw new Error(`its version is ${metadata?.version} (expected 4 or later)`);
  const entries = new Map(
    Object.entries(parsed).flatMap(([keys, entry]) => keys.split(/,\s*/).map((key): [string, Entry] => [key, entry])),
  );
  const faults: ReadLock["faults"] = [];
  const overrides = readResolutions(project.resolutions);
  const needed = new Map<string, Entry>();
  const packages: LockGraph["packages"] = new Map();
  const ids = (from: Entry | undefined, ranges: Ranges): Ranges =>
    mapRanges(ranges, (name, requested) => {
      const range = withProtocol(overrides(from?.resolution, name, withProtocol(requested)));
      const entry = entries.get(`${name}@${range}`);
      const by = from?.resolution.replace("@npm:", "@") ?? "package.json";
      const fault =
        originFault(name, range) ??
        (entry ? undefined : lockFault(`${by} needs ${name} ${plain(range)}, which ${written} does not have`));
      if (fault !== undefined) faults.push(fault);
      if (fault !== undefined || entry === undefined) return undefined;
      needed.set(entry.resolution, entry);
      return entry.resolution;
    });

  const workspace = [...entries.values()].find(({ resolution }) => /@workspace:\.$/.test(resolution));
  const { dependencies, optional } = rootRanges(project, workspace, written, faults);
  for (const name of peersForRunning(project, dependencies, entries))
    if (project.devDependencies?.[name] !== undefined) dependencies[name] ??= project.devDependencies[name];
  const root = { dependencies: ids(undefined, dependencies), optionalDependencies: ids(undefined, optional) };
  for (const [id, entry] of needed) {
    const [, name = "", version, more = ""] = /^(@?[^@]+)@npm:([^:]+)(?:::(.*))?$/.exec(id) ?? [];
    if (version === undefined) {
      const { name: alias, range: origin = id } = splitSpec(id);
      faults.push(originFault(alias, origin) ?? lockFault(`${id} in ${written} is not understood`));
    }
    const isOptional = (dependency: string) => entry.dependenciesMeta?.[dependency]?.optional === "true";
    packages.set(id, {
      ...{ name, version: version ?? entry.version, bin: entry.bin },
      resolved: unusualAddress(new URLSearchParams(more).get("__archiveUrl") ?? undefined, name, version ?? ""),
      ...readConditions(entry.conditions),
      peers: Object.keys(entry.peerDependencies ?? {}),
      dependencies: ids(
        entry,
        pick(entry.dependencies, (dependency) => !isOptional(dependency)),
      ),
      optionalDependencies: ids(entry, pick(entry.dependencies, isOptional)),
    });
  }
  // Old ones have no conditions.
  return { graph: { root, packages }, unsaid: ["platforms", "scripts"], faults };
}

/** What package.json needs for running; a fault for each range that the lock has otherwise. */
function rootRanges(project: LockedProject, workspace: Entry | undefined, written: string, faults: ReadLock["faults"]) {
  const requested: Ranges = { ...project.dependencies, ...project.optionalDependencies };
  const locked: Ranges = workspace?.dependencies ?? {};
  // The lock does not tell what is for development.
  const isForRunning = (name: string) => requested[name] !== undefined || project.devDependencies?.[name] === undefined;
  const unprefixed = (ranges: Ranges) => mapRanges(ranges, (_, range) => plain(withProtocol(range)));
  faults.push(...disagreements(unprefixed(requested), unprefixed(pick(locked, isForRunning)), written));
  const inLock = pick(requested, (name) => withProtocol(requested[name] ?? "") === withProtocol(locked[name] ?? ""));
  const isOptional = (name: string) => project.optionalDependencies?.[name] !== undefined;
  return { dependencies: pick(inLock, (name) => !isOptional(name)), optional: pick(inLock, isOptional) };
}

/** Peers without which the project, or a package that it depends on, does not run. */
function peersForRunning(project: LockedProject, dependencies: Ranges, entries: ReadonlyMap<string, Entry>): string[] {
  const names = new Set(requiredPeers(project));
  const ranges = { ...dependencies };
  for (const queue = Object.entries(ranges); queue.length > 0; ) {
    const [name, range] = queue.shift() as [string, string];
    const { peerDependencies = {}, peerDependenciesMeta = {} } = entries.get(`${name}@${withProtocol(range)}`) ?? {};
    for (const peer of Object.keys(peerDependencies)) {
      if (peerDependenciesMeta[peer]?.optional === "true" || ranges[peer] !== undefined) continue;
      names.add(peer);
      const again = project.devDependencies?.[peer];
      if (again === undefined) continue;
      ranges[peer] = again;
      queue.push([peer, again]);
    }
  }
  return [...names];
}

/**
 * The `resolutions` of package.json: `name`, `name@range`, `parent/name`, `parent@version/name`. Yarn does not write into the
 * lock which range they stand for. Answers the range that counts.
 */
function readResolutions(resolutions: Ranges = {}) {
  const rules = Object.entries(resolutions).map(([pattern, range]) => {
    const [, parent, version, name, requested] =
      /^(?:\*\*\/)?(?:((?:@[^/@]+\/)?[^/@]+)(?:@([^/]+))?\/)?((?:@[^/@]+\/)?[^/@]+)(?:@(.+))?$/.exec(pattern) ?? [];
    return { parent, version, name, requested, range };
  });
  return (from: string | undefined, name: string, requested: string): string => {
    const rule = rules.find(
      (rule) =>
        rule.name === name &&
        (rule.requested === undefined || withProtocol(rule.requested) === requested) &&
        (rule.parent === undefined || from?.startsWith(`${rule.parent}@`) === true) &&
        (rule.version === undefined || from === `${rule.parent}@${withProtocol(rule.version)}`),
    );
    return rule?.range ?? requested;
  };
}

/** `os=linux & (cpu=x64 | cpu=arm64) & libc=glibc` as npm's lists. */
function readConditions(conditions = ""): { os?: string[]; cpu?: string[]; libc?: string[] } {
  const lists: Record<string, string[]> = {};
  for (const [, not, name = "", value = ""] of conditions.matchAll(/(!?)\b(os|cpu|libc)=([^\s()|&]+)/g)) {
    lists[name] ??= [];
    lists[name].push(`${not}${value}`);
  }
  return lists;
}

/** Yarn's keys always have a protocol, what people write seldom. */
function withProtocol(range: string): string {
  return /^[a-z+]+:|^[^@:]+\/[^@:]+$/.test(range) ? range : `npm:${range}`;
}

function plain(range: string): string {
  return range.replace(/^npm:/, "");
}
