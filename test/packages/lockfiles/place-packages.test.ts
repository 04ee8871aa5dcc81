import { createRequire } from "node:module";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LockfileName } from "../../../src/contract/lockfiles.ts";
import type { LockedDependencies, LockedPackage, LockGraph } from "../../../src/packages/lockfiles/lock-graph.ts";
import { mergeSame } from "../../../src/packages/lockfiles/merge-same.ts";
import { lockEntries, placePackages } from "../../../src/packages/lockfiles/place-packages.ts";
import { readLock } from "../../../src/packages/lockfiles/read-lock.ts";

const NAMES = ["a", "b", "c", "d"];
/** Of each name; the last two are the same version with other dependencies, as pnpm has it by peers. */
const VERSIONS = ["1.0.0", "2.0.0", "3.0.0", "3.0.0"];

interface Edge {
  name: string;
  variant: number;
  kind: "dependency" | "optional" | "peer" | "bare";
}

const edges = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom(...NAMES),
    variant: fc.nat(VERSIONS.length - 1),
    kind: fc.constantFrom<Edge["kind"]>("dependency", "dependency", "optional", "peer", "bare"),
  }),
  { selector: ({ name }) => name, maxLength: 3 },
);

/** Packages of several versions that need each other any way. A bare peer is one that the lock gives no version. */
const graphs: fc.Arbitrary<LockGraph> = fc
  .tuple(edges, fc.array(edges, { minLength: 16, maxLength: 16 }))
  .map(([root, of]) => {
    const needs = (list: Edge[], kinds: Edge["kind"][]) =>
      Object.fromEntries(
        list.filter(({ kind }) => kinds.includes(kind)).map(({ name, variant }) => [name, `${name}/${variant}`]),
      );
    const both = (list: Edge[]): LockedDependencies => ({
      dependencies: needs(list, ["dependency", "peer"]),
      optionalDependencies: needs(list, ["optional"]),
    });
    const packages = NAMES.flatMap((name, index) =>
      VERSIONS.map((version, variant): [string, LockedPackage] => {
        const list = of[index * VERSIONS.length + variant] ?? [];
        const peers = list.filter(({ kind }) => kind === "peer" || kind === "bare").map((edge) => edge.name);
        return [`${name}/${variant}`, { name, version, peers, ...both(list) }];
      }),
    );
    return { root: both(root), packages: new Map(packages) };
  });

/** What a file of the package at `from` gets for `import name`: the folders are those in which Node itself looks. */
function nodeFinds(has: (path: string) => boolean, from: string, name: string): string | undefined {
  const folders = createRequire(`/app/${from}${from && "/"}index.js`).resolve.paths(name) ?? [];
  return folders.map((folder) => `${folder.replace(/^\/app\//, "")}/${name}`).find(has);
}

function needsOf({ dependencies, optionalDependencies }: LockedDependencies): [name: string, id: string][] {
  return Object.entries({ ...dependencies, ...optionalDependencies });
}

/** Throws where a package of the tree gets another one than the lock has. Answers how many imports there were. */
function expectLocked({ root, packages }: LockGraph, places: ReadonlyMap<string, string>): number {
  let imports = 0;
  const of = (path: string) => (path === "" ? root : packages.get(places.get(path) ?? "")) as LockedDependencies;
  for (const at of ["", ...places.keys()]) {
    for (const [name, id] of needsOf(of(at))) {
      const path = nodeFinds((other) => places.has(other), at, name) ?? "";
      expect(places.get(path), `${at || "the project"} imports ${name}`).toBe(id);
      imports++;
      // A peer without a version is the one of the package that has both.
      const { peers, ...own } = packages.get(id) as LockedPackage;
      const given = new Map(needsOf(of(at)));
      for (const peer of peers.filter((peer) => given.has(peer) && !new Map(needsOf(own)).has(peer)))
        expect(places.get(nodeFinds((other) => places.has(other), path, peer) ?? "")).toBe(given.get(peer));
    }
  }
  return imports;
}

describe("any graph of packages", () => {
  it("has folders in which Node finds for every import what is locked, or names those that have none", () => {
    let [imports, placed, refused] = [0, 0, 0];
    fc.assert(
      fc.property(graphs, (graph) => {
        const merged = mergeSame(graph);
        const answer = placePackages(merged);
        if ("without" in answer) {
          refused++;
          expect(answer.without.length).toBeGreaterThan(0);
          expect(answer.without.every((id) => graph.packages.has(id))).toBe(true);
          return;
        }
        placed++;
        imports += expectLocked(merged, answer.places);
        const { entries } = lockEntries(merged, answer.places);
        for (const [path, id] of answer.places) expect(entries[path]?.version).toBe(graph.packages.get(id)?.version);
      }),
      { numRuns: 500, seed: 65_537 },
    );
    expect(placed).toBeGreaterThan(refused);
    expect(refused).toBeGreaterThan(0);
    expect(imports).toBeGreaterThan(1_000);
  });
});

/** A graph of `name@version`, each with what it needs; the same with peers after a bar. */
function graphOf(needs: Record<string, string>): LockGraph {
  const read = (text: string) => {
    const [list = "", peers = ""] = text.split("|");
    const dependencies = Object.fromEntries(
      list
        .split(" ")
        .filter(Boolean)
        .map((id) => [id.split("@")[0], id]),
    );
    return { dependencies, optionalDependencies: {}, peers: peers.split(" ").filter(Boolean) };
  };
  const { "": root = "", ...packages } = needs;
  return {
    root: read(root),
    packages: new Map(
      Object.entries(packages).map(([id, text]) => {
        const [name = "", version = ""] = id.replace(/\(.*/, "").split("@");
        return [id, { name, version, ...read(text) }];
      }),
    ),
  };
}

function placesOf(graph: LockGraph): Record<string, string> {
  const answer = placePackages(graph);
  if ("without" in answer) throw new Error(`no places for ${answer.without.join(", ")}`);
  expectLocked(graph, answer.places);
  return Object.fromEntries(answer.places);
}

describe("circles of packages", () => {
  it("lie side by side at one version, and once more where another version is in the way", () => {
    const graph = graphOf({ "": "a@1 c@1", "a@1": "b@1", "b@1": "a@1", "c@1": "a@2", "a@2": "b@2", "b@2": "a@2" });
    expect(placesOf(graph)).toEqual({
      "node_modules/a": "a@1",
      "node_modules/b": "b@1",
      "node_modules/c": "c@1",
      "node_modules/c/node_modules/a": "a@2",
      "node_modules/c/node_modules/b": "b@2",
    });
  });

  it("through peers without a version are kept together below the package that has them", () => {
    const graph = graphOf({ "": "x@1 y@1 p@1", "p@1": "x@1 y@2", "x@1": "|y", "y@1": "|x", "y@2": "|x" });
    expect(placesOf(graph)).toEqual({
      "node_modules/p": "p@1",
      "node_modules/p/node_modules/x": "x@1",
      "node_modules/p/node_modules/y": "y@2",
      "node_modules/x": "x@1",
      "node_modules/y": "y@1",
    });
  });

  it("leave a peer in sight of a package that was there before the peer was", () => {
    const graph = graphOf({
      ...{ "": "c@2 o@1 p@1", "o@1": "x@1", "p@1": "x@1 y@1", "x@1": "c@1|y", "c@1": "y@2" },
      ...{ "c@2": "", "y@1": "", "y@2": "" },
    });
    expect(placesOf(graph)).toMatchObject({
      "node_modules/x": "x@1",
      "node_modules/y": "y@1",
      "node_modules/x/node_modules/c/node_modules/y": "y@2",
    });
  });

  it("are one package each, where a lock names them by how much of the circle came along", () => {
    const [one, two, three] = ["a@1(b)", "a@1(b(a))", "a@1(b(a(b)))"];
    const graph: LockGraph = {
      root: { dependencies: { a: one, c: "c@1" }, optionalDependencies: { b: "b@1(a)" } },
      packages: new Map([
        ...graphOf({ "c@1": "", [one]: "|b", [two]: "|b", [three]: "|b" }).packages,
        ...graphOf({ "b@1(a)": "|a", "b@1(a(b))": "|a", "a@1(other)": "|b" }).packages,
      ]),
    };
    const needs = (id: string, dependencies: Record<string, string>) =>
      Object.assign(graph.packages.get(id) as LockedPackage, { dependencies });
    needs(one, { b: "b@1(a)" });
    needs(two, { b: "b@1(a(b))" });
    needs(three, { b: "b@1(a)" });
    needs("b@1(a)", { a: two });
    needs("b@1(a(b))", { a: three });
    needs("c@1", { a: three });
    const merged = mergeSame(graph);
    expect([...merged.packages.keys()]).toEqual(["c@1", one, "b@1(a)", "a@1(other)"]);
    expect(placesOf(merged)).toEqual({ "node_modules/a": one, "node_modules/b": "b@1(a)", "node_modules/c": "c@1" });
  });

  /** No node_modules has them: Yarn 1 runs out of memory, and bun refuses to install them. */
  const RING = ["ring-a 1.0.0", "ring-a 2.0.0", "ring-b 1.0.0", "ring-b 2.0.0"];
  const integrity = `sha512-${"A".repeat(86)}==`;
  const NEEDS = [
    ["ring-a", "1.0.0", "ring-b", "1.0.0"],
    ["ring-a", "2.0.0", "ring-b", "2.0.0"],
    ["ring-b", "1.0.0", "ring-a", "2.0.0"],
    ["ring-b", "2.0.0", "ring-a", "1.0.0"],
  ];
  const LOCKS: [file: LockfileName, text: string][] = [
    [
      "pnpm-lock.yaml",
      [
        "lockfileVersion: '9.0'",
        "importers:\n  .:\n    dependencies:\n      ring-a:\n        specifier: 1.0.0\n        version: 1.0.0",
        "packages:",
        ...NEEDS.map(([name, version]) => `  ${name}@${version}:\n    resolution: {integrity: ${integrity}}`),
        "snapshots:",
        ...NEEDS.map(
          ([name, version, other, its]) => `  ${name}@${version}:\n    dependencies:\n      ${other}: ${its}`,
        ),
      ].join("\n"),
    ],
    [
      "yarn.lock",
      NEEDS.map(
        ([name, version, other, its]) =>
          `${name}@${version}:\n  version "${version}"\n  integrity ${integrity}\n  dependencies:\n    ${other} "${its}"\n`,
      ).join("\n"),
    ],
    [
      "yarn.lock",
      [
        "__metadata:\n  version: 8\n",
        `"x@workspace:.":\n  version: 0.0.0-use.local\n  resolution: "x@workspace:."\n  dependencies:\n    ring-a: "npm:1.0.0"\n`,
        ...NEEDS.map(
          ([name, version, other, its]) =>
            `"${name}@npm:${version}":\n  version: ${version}\n  resolution: "${name}@npm:${version}"\n  dependencies:\n    ${other}: "npm:${its}"\n`,
        ),
      ].join("\n"),
    ],
  ];
  it.each(LOCKS)("through two versions are refused by name: %s", async (file, text) => {
    const { faults } = await readLock(file, text, { dependencies: { "ring-a": "1.0.0" } }, file);
    expect(faults).toHaveLength(1);
    for (const name of RING) expect(faults[0]?.message).toContain(name);
    expect(faults[0]?.message).toMatch(new RegExp(`need each other.*${file}`));
    expect(faults[0]?.hint).toContain("Hold ring-a or ring-b at one version");
  });

  it("end soon, however often they branch", () => {
    // Each of 8 names in 4 versions, each of which needs three of the others, hardly two the same ones.
    const of = (index: number, version: number) => `n${index % 8}@${version % 4}`;
    const needs: Record<string, string> = { "": of(0, 0) };
    for (let index = 0; index < 8; index++)
      for (let version = 0; version < 4; version++)
        needs[of(index, version)] = [1, 2, 5].map((step) => of(index + step, version * step + index)).join(" ");
    expect(placePackages(graphOf(needs))).toMatchObject({ without: expect.arrayContaining([of(0, 0)]) });
  });
});
