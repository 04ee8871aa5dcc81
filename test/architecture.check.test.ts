import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const src = join(root, "src");

interface Import {
  from: string;
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
  for (const match of text.matchAll(/^(import|export)\s+(type\s+)?[^;]*?from\s+"([^"]+)"/gm)) {
    found.push({ from, to: target(from, match[3] as string), typeOnly: match[2] !== undefined });
  }
  for (const match of text.matchAll(/\b(?:import|require)\(\s*"([^"]+)"\s*\)/g)) {
    const before = text.slice(0, match.index);
    const inType = /(?::|\||<|typeof|Agent:)\s*$/.test(before) || text[(match.index ?? 0) + match[0].length] === ".";
    const thenable = text.slice((match.index ?? 0) + match[0].length).startsWith(".then(");
    found.push({ from, to: target(from, match[1] as string), typeOnly: inType && !thenable });
  }
  return found;
});

function target(from: string, specifier: string): string {
  return specifier.startsWith(".") ? relative(src, join(src, dirname(from), specifier)) : specifier;
}

/** Four ranks; a file imports values only from a lower rank or from its own folder. */
const RANKS: Record<string, number> = {
  core: 0,
  contract: 0,
  sdk: 1,
  app: 1,
  bundle: 1,
  image: 1,
  client: 1,
  engine: 1,
  serve: 1,
  "deploy.ts": 2,
  "make-image": 2,
  platform: 2,
  commands: 3,
  ui: 3,
  "program.ts": 3,
  "main.ts": 3,
};
const folderOf = (file: string) => file.split("/")[0] as string;

/** Arrows within a rank: each is a decision. */
const SIDEWAYS = new Set([
  "app -> bundle", // loading a file is bundling and describing it
  "app -> image", // the name of a base image is checked with all the rest that an App says
  "app -> sdk", // the worker that describes recognises the SDK's objects
  "serve -> sdk", // the shim serves what the SDK describes
  "image -> client", // a registry is spoken to through the same proxies, and after the same pauses, as a platform
  "engine -> serve", // the shim's exit codes, which causes are read from
  "contract -> core",
  "core -> contract",
  "deploy.ts -> make-image", // one step of the pipeline, in a file of its own
  "commands -> ui", // a command picks the renderer
  "main.ts -> program.ts",
  "main.ts -> ui", // a failure is printed once, at the edge
  "main.ts -> commands",
  "program.ts -> commands", // every action imports its command lazily
  "program.ts -> ui",
  "ui -> commands",
]);

describe("the import graph", () => {
  it("finds the files and their imports", () => {
    expect(files.length).toBeGreaterThan(60);
    expect(imports.filter(({ to }) => to.endsWith(".ts")).length).toBeGreaterThan(150);
  });

  it("has a rank for every folder", () => {
    expect([...new Set(files.map(folderOf))].filter((folder) => RANKS[folder] === undefined)).toEqual([]);
  });

  it("points down: from a higher rank to a lower one, or along an arrow that was decided", () => {
    const wrong = imports.filter(({ from, to, typeOnly }) => {
      if (typeOnly || !to.endsWith(".ts")) return false;
      const [a, b] = [folderOf(from), folderOf(to)];
      return a !== b && (RANKS[b] as number) >= (RANKS[a] as number) && !SIDEWAYS.has(`${a} -> ${b}`);
    });
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  it("keeps the pipeline and the platform apart: between them is only the contract", () => {
    const crossing = imports.filter(
      ({ from, to }) =>
        (/^(?:deploy\.ts$|make-image\/)/.test(from) && to.startsWith("platform/")) ||
        (from.startsWith("platform/") && /^(?:deploy\.ts$|make-image\/)/.test(to)),
    );
    expect(crossing).toEqual([]);
  });

  it("has no circles", () => {
    const edges = new Map<string, string[]>();
    for (const { from, to, typeOnly } of imports) {
      if (!typeOnly && to.endsWith(".ts")) edges.set(from, [...(edges.get(from) ?? []), to]);
    }
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (file: string, path: string[]) => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
      else if (!done.has(file)) {
        for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
        done.add(file);
      }
    };
    for (const file of files) visit(file, []);
    expect(circles).toEqual([]);
  });

  it("gives every library one home", () => {
    const homes: Record<string, RegExp> = {
      commander: /^program\.ts$/,
      ora: /^ui\//,
      chalk: /^ui\//,
      undici: /^core\/undici\.ts$/,
      esbuild: /^bundle\//,
      zod: /^(?:contract|platform\/api)\//,
      hono: /^platform\//,
      "@hono/node-server": /^(?:platform|serve)\//,
      yaml: /^core\/yaml\.ts$/,
      "@jridgewell/trace-mapping": /^bundle\//,
    };
    const packages = imports.filter(({ to, typeOnly }) => !typeOnly && !to.endsWith(".ts") && !to.startsWith("node:"));
    const strangers = packages.filter(({ from, to }) => {
      const name = to.startsWith("@") ? to.split("/").slice(0, 2).join("/") : (to.split("/")[0] as string);
      return !homes[name]?.test(from);
    });
    expect(strangers.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });
});

it("no file of the project reads what lies outside of it, or names a machine's path", () => {
  const tracked = ["src", "bin", "test", "templates", ".ci"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8", withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.includes("node_modules"))
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  const outside = new RegExp(["\\.\\./sha", "red|/wor", "k/|/ro", "ot/|registry\\.npm", "js"].join(""));
  expect(tracked.filter((file) => outside.test(readFileSync(file, "utf8")))).toEqual([]);
});
