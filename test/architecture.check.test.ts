import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const src = join(root, "src");

interface Import {
  from: string;
  /** A file of src/, or what a library is imported by. */
  to: string;
  /** Only types: the arrow is gone when the program runs. */
  typeOnly: boolean;
}

const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .sort();

const imports: Import[] = files.flatMap((from) => {
  const text = readFileSync(join(src, from), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  const found: Import[] = [];
  for (const match of text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^;"]*?\bfrom\s+)?"([^"]+)"/gm)) {
    found.push({ from, to: target(from, match[2] as string), typeOnly: match[1] !== undefined });
  }
  for (const match of text.matchAll(/\b(?:import|require)\(\s*"([^"]+)"\s*\)/g)) {
    const before = text.slice(0, match.index);
    const after = text.slice(match.index + match[0].length);
    const inType = /(?::|\||<|typeof|Agent:)\s*$/.test(before) || after[0] === ".";
    found.push({ from, to: target(from, match[1] as string), typeOnly: inType && !after.startsWith(".then(") });
  }
  return found;
});

/** Arrows between files of src/: an import of a type is one, too. */
const arrows = imports.filter(({ to }) => to.endsWith(".ts"));

function target(from: string, specifier: string): string {
  return specifier.startsWith(".") ? relative(src, join(src, dirname(from), specifier)) : specifier;
}

/** The ladder: a file imports only from a lower rung or from its own folder. */
const LADDER = [
  ["core", "contract"],
  ["http"],
  ["oci", "container-engine"],
  ["packages"],
  ["sdk", "app", "bundle", "serve", "client"],
  ["image", "engine", "gateway", "supervisor"],
  ["deploy", "platform"],
  ["commands", "ui", "program.ts", "main.ts"],
];
const rungOf = (folder: string) => LADDER.findIndex((folders) => folders.includes(folder));
const folderOf = (file: string) => file.split("/")[0] as string;

/** Arrows within a rung, each with the reason for it. */
const SIDEWAYS: Record<string, string> = {
  "core -> contract": "the rotation of logs takes its size from the table of limits",
  "app -> bundle": "to load a file is to bundle it and to describe what the bundle exports",
  "app -> sdk": "the worker that describes a file recognizes the SDK's objects",
  "serve -> sdk": "the shim serves what the SDK describes",
  "commands -> ui": "a command picks the renderer",
  "program.ts -> commands": "every action imports its command when it runs",
  "program.ts -> ui": "actions get the terminal as an Io",
  "main.ts -> program.ts": "the process edge runs the command tree",
  "main.ts -> ui": "a failure is printed once, at the edge",
};

/** Folders that know less than their rung allows. */
const ONLY: Record<string, readonly string[]> = {
  http: ["core"],
  oci: ["core", "http"],
  "container-engine": ["core", "http"],
  gateway: ["core", "contract", "http"],
  supervisor: ["core"],
};

/** Files that reach each other, each group sorted (Tarjan's strongly connected components). */
function circles(): string[][] {
  const edges = Map.groupBy(arrows, ({ from }) => from);
  const order = new Map<string, number>();
  const open: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): number => {
    const own = order.size;
    let low = own;
    order.set(file, own);
    open.push(file);
    for (const { to } of edges.get(file) ?? []) {
      if (to === file) found.push([file, file]);
      else if (!order.has(to)) low = Math.min(low, visit(to));
      else if (open.includes(to)) low = Math.min(low, order.get(to) as number);
    }
    if (low === own) {
      const group = open.splice(open.indexOf(file));
      if (group.length > 1) found.push(group.sort());
    }
    return low;
  };
  for (const file of files) if (!order.has(file)) visit(file);
  return found;
}

describe("the import graph", () => {
  it("finds the files and their imports", () => {
    expect(files.length).toBeGreaterThan(250);
    expect(arrows.length).toBeGreaterThan(1000);
    expect(arrows.filter(({ to }) => !files.includes(to))).toEqual([]);
  });

  it("has a rung for every folder", () => {
    expect([...new Set(files.map(folderOf))].sort()).toEqual(LADDER.flat().sort());
  });

  it("points down, types included, or along an arrow that was decided", () => {
    const used = new Set<string>();
    const wrong = new Set<string>();
    for (const { from, to } of arrows) {
      const [a, b] = [folderOf(from), folderOf(to)];
      if (a === b || rungOf(b) < rungOf(a)) continue;
      if (`${a} -> ${b}` in SIDEWAYS) used.add(`${a} -> ${b}`);
      else wrong.add(`${from} -> ${to}`);
    }
    expect([...wrong]).toEqual([]);
    expect([...used].sort(), "an allowance that nothing uses goes").toEqual(Object.keys(SIDEWAYS).sort());
  });

  it("keeps to fewer folders where that was decided", () => {
    const wrong = arrows.filter(({ from, to }) => {
      const [a, b] = [folderOf(from), folderOf(to)];
      return a !== b && ONLY[a]?.includes(b) === false;
    });
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  it("has no circles, not even through types", () => {
    expect(circles().map((circle) => circle.join(" - "))).toEqual([]);
  });

  it("gives no two files one name", () => {
    const names = files.map((file) => basename(file)).filter((name) => name !== "index.ts");
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
  });

  it("gives every library one home", () => {
    const homes: Record<string, RegExp> = {
      commander: /^program\.ts$/,
      ora: /^ui\//,
      chalk: /^ui\//,
      undici: /^http\/undici\.ts$/,
      esbuild: /^bundle\//,
      zod: /^(?:contract|platform\/api)\//,
      hono: /^platform\//,
      "@hono/node-server": /^(?:platform|serve)\//,
      yaml: /^core\/yaml\.ts$/,
      semver: /^core\/versions\.ts$/,
      "@jridgewell/trace-mapping": /^bundle\//,
    };
    const packages = imports.filter(({ to }) => !to.endsWith(".ts") && !to.startsWith("node:"));
    const nameOf = (to: string) => to.split("/", to.startsWith("@") ? 2 : 1).join("/");
    const strangers = packages.filter(({ from, to, typeOnly }) => !typeOnly && !homes[nameOf(to)]?.test(from));
    expect(strangers.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
    expect(Object.keys(homes).filter((name) => !packages.some(({ to }) => nameOf(to) === name))).toEqual([]);
  });
});

it("no file of the project reads what lies outside of it, or names a machine's path", () => {
  const tracked = ["src", "bin", "test", "templates", ".ci"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8", withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.includes("node_modules"))
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  const outside = new RegExp(["\\.\\./sha", "red|/wor", "k/|/ro", "ot/|registry\\.npm", "js"].join(""));
  // What commands have in common lies next to their handlers.
  const textOf = (file: string) => {
    const text = readFileSync(file, "utf8");
    return file.startsWith(join(src, "commands/handlers/")) ? text.replace(/"\.\.\/shared\/[\w-]+\.ts"/g, "") : text;
  };
  expect(tracked.filter((file) => outside.test(textOf(file)))).toEqual([]);
});
