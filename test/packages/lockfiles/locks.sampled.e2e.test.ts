import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildEnvironment, planEnvironment } from "../../../src/image/environment-image.ts";
import { unpackPackages } from "../../../src/image/unpack.ts";
import { OciLayout } from "../../../src/oci/layout.ts";
import { entriesFor } from "../../../src/packages/lockfiles/package-lock.ts";
import { readRequirements } from "../../../src/packages/requirements.ts";
import { contextIn, failureOf, folder, npmEnv, run } from "../../image/support.ts";
import { sampleOf } from "../../support/amount.ts";
import { startRegistry, type TestRegistry } from "../../support/npm-registry.ts";
import { BUN_MANIFEST, CATALOGUE, MANIFEST, NEWER, YARN_MANIFESTS } from "./catalogue.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry([...CATALOGUE, ...NEWER]);
});
afterAll(() => registry.close());

interface Recorded {
  file: string;
  lock: string;
  install: string;
  /** The leaf that a package with a peer gets below one that has an older leaf than the project. */
  friendOfHost: string;
  integrity: boolean;
  /** The project that it was recorded in, where that is another one. */
  manifest?: typeof MANIFEST;
  /** What tree and @corp/host find where something overrides that. */
  leaves?: [ofTree: string, ofHost: string];
}
/** bun and Yarn 1 put one `friend` where all find it; the others keep peers apart. */
const RECORDED: Recorded[] = [
  { file: "pnpm-6.yaml", lock: "pnpm-lock.yaml", install: "pnpm install", friendOfHost: "1.0.0", integrity: true },
  { file: "pnpm-9.yaml", lock: "pnpm-lock.yaml", install: "pnpm install", friendOfHost: "1.0.0", integrity: true },
  { file: "yarn-1.lock", lock: "yarn.lock", install: "yarn install", friendOfHost: "2.0.0", integrity: true },
  { file: "yarn-berry-6.lock", lock: "yarn.lock", install: "yarn install", friendOfHost: "1.0.0", integrity: false },
  { file: "yarn-berry-10.lock", lock: "yarn.lock", install: "yarn install", friendOfHost: "1.0.0", integrity: false },
  { file: "bun-2.lock", lock: "bun.lock", install: "bun install", friendOfHost: "2.0.0", integrity: true },
  {
    ...{ file: "bun-3.lock", lock: "bun.lock", install: "bun install", friendOfHost: "2.0.0", integrity: true },
    ...{ manifest: BUN_MANIFEST, leaves: ["2.0.0", "1.0.0"] },
  },
  ...(["name", "everywhere", "path"] as const).map(
    (name): Recorded => ({
      ...{ file: `yarn-1-${name}.lock`, lock: "yarn.lock", install: "yarn install", friendOfHost: "2.0.0" },
      ...{ integrity: true, manifest: YARN_MANIFESTS[name], leaves: ["2.0.0", "2.0.0"] },
    }),
  ),
];

/** A project whose lock file is a recorded one. */
async function project(
  { file, lock, manifest: its = MANIFEST }: Recorded,
  edit: (text: string) => string = (text) => text,
  manifest: object = its,
) {
  const dir = await folder();
  const text = await readFile(join(import.meta.dirname, "recorded", file), "utf8");
  await writeFile(join(dir, "package.json"), JSON.stringify(manifest));
  await writeFile(join(dir, lock), edit(text));
  await writeFile(join(dir, ".npmrc"), `registry=${registry.url}\n`);
  const context = contextIn(dir, npmEnv(dir));
  return {
    dir,
    context,
    requirements: { file: join(dir, lock), written: lock },
    layout: new OciLayout(join(dir, "l")),
  };
}

describe.each(sampleOf(RECORDED, 1))("requirements from $file", (recorded) => {
  it("install exactly what is locked, for running alone, though newer versions would fit", async () => {
    const { dir, context, requirements, layout } = await project(recorded);
    const platform = { os: "linux", cpu: "x64", libc: "glibc" } as const;
    const plan = await planEnvironment({ name: "x", requirements, packages: ["tree"] }, { ...context, platform });
    expect(plan.packages).toEqual([
      { name: "@corp/host", version: "1.0.0" },
      { name: "binary", version: "1.0.0" },
      { name: "elsewhere", version: "1.0.0" },
      { name: "friend", version: "1.0.0" },
      { name: "leaf", version: "2.0.0" },
      { name: "other", version: "1.0.0" },
      { name: "scripted", version: "1.0.0" },
      { name: "tree", version: "1.0.0" },
    ]);
    const entries = entriesFor(plan.lock.lock, platform);
    expect(entries.map(([, { integrity }]) => /^sha512-/.test(integrity ?? ""))).toEqual(
      entries.map(() => recorded.integrity),
    );
    expect(JSON.stringify(plan.lock)).not.toContain("registry.invalid");

    const image = await buildEnvironment(plan, layout, { ...context, platform });
    const packages = (await unpackPackages(layout, image, join(dir, "content"))) ?? "";
    expect((await readdir(packages)).sort()).toEqual(
      [".bin", "@binary", "@corp", "binary", "friend", "leaf", "other", "scripted", "tree"].sort(),
    );
    expect(await readdir(join(packages, "@binary"))).toEqual(["linux-x64"]);
    expect(await readdir(join(packages, "scripted"))).not.toContain("ran");
    await writeFile(
      join(packages, "../app.mjs"),
      `const of = async (name) => (await import(name)).default;
       console.log(JSON.stringify([await of("leaf"), await of("other"), await of("tree"), await of("friend"), await of("@corp/host")]));`,
    );
    const { stdout } = await run(process.execPath, [join(packages, "../app.mjs")]);
    const [ofTree, ofHost] = recorded.leaves ?? ["1.0.0", "1.0.0"];
    expect(JSON.parse(stdout)).toEqual(["2.0.0", "1.0.0", ofTree, "2.0.0", [recorded.friendOfHost, ofHost]]);
    expect((await run(join(packages, ".bin", "tree"))).stdout).toBe(`${ofTree}\n`);
  });

  it("take the packages of each platform", async () => {
    const { context, requirements, layout, dir } = await project(recorded);
    const platform = { os: "linux", cpu: "arm64", libc: "glibc" } as const;
    const plan = await planEnvironment({ name: "x", requirements }, { ...context, platform });
    const image = await buildEnvironment(plan, layout, { ...context, platform });
    const packages = (await unpackPackages(layout, image, join(dir, "content"))) ?? "";
    expect(await readdir(join(packages, "@binary"))).toEqual(["linux-arm64"]);
  });

  it("run install scripts when they are allowed, in an image of another name", async () => {
    const { dir, context, requirements, layout } = await project(recorded);
    const allowed = { ...context, allowScripts: true };
    const plan = await planEnvironment({ name: "x", requirements }, allowed);
    expect(plan.tag).not.toBe((await planEnvironment({ name: "x", requirements }, context)).tag);
    const packages =
      (await unpackPackages(layout, await buildEnvironment(plan, layout, allowed), join(dir, "c"))) ?? "";
    expect(await readdir(join(packages, "scripted"))).toContain("ran");
  });

  it("are faults where package.json says something else, each of them", async () => {
    const { manifest: its = MANIFEST } = recorded;
    const manifest = { ...its, dependencies: { ...its.dependencies, leaf: "^9.0.0", absent: "1" } };
    const { requirements } = await project(recorded, undefined, manifest);
    const error = await failureOf(readRequirements(requirements));
    expect(error).toMatchObject({ code: "INVALID_REQUIREMENTS", exit: 2, next: [recorded.install] });
    const messages = error.faults.map(({ path, message }) => `${path} ${message}`);
    expect(messages).toHaveLength(2);
    expect(messages[0]).toMatch(/^containerImage\.requirements .*absent/);
    expect(messages[1]).toMatch(/leaf .*\^9\.0\.0.*\^2\.0\.0/);
  });

  it("have to have what the app imports", async () => {
    const { requirements } = await project(recorded);
    const error = await failureOf(readRequirements(requirements, ["tree", "tester"]));
    expect(error.faults).toMatchObject([
      { message: `the app imports tester, which is no dependency in ${recorded.lock}` },
    ]);
    expect(error.faults[0]?.hint).toBe(`${recorded.install.split(" ")[0]} add tester`);
  });

  it("are a fault when they are torn, empty or missing", async () => {
    for (const text of ["", "{", "lockfileVersion: '5.4'\n", "<<<<<<< ours\n"]) {
      const { requirements } = await project(recorded, () => text);
      expect(await failureOf(readRequirements(requirements))).toMatchObject({
        code: "INVALID_REQUIREMENTS",
        next: [recorded.install],
      });
    }
    const { dir, requirements } = await project(recorded);
    await mkdir(join(dir, "other"));
    await writeFile(join(dir, "other/package.json"), "{}");
    const missing = { file: join(dir, "other", recorded.lock), written: `other/${recorded.lock}` };
    expect(requirements.file).not.toBe(missing.file);
    expect((await failureOf(readRequirements(missing))).message).toContain("does not exist");
  });
});

describe("a package that is a dependency and an optional one", () => {
  const bun = RECORDED.find(({ file }) => file === "bun-2.lock") as Recorded;
  const both = (range: string) => ({
    ...MANIFEST,
    dependencies: { ...MANIFEST.dependencies, elsewhere: "^0.1.0" },
    optionalDependencies: { elsewhere: range },
  });

  it("is optional, as bun has it", async () => {
    const { requirements } = await project(bun, undefined, both("1"));
    const { lock } = await readRequirements(requirements);
    expect(lock.packages[""]?.optionalDependencies).toEqual({ elsewhere: "1.0.0" });
    expect(lock.packages["node_modules/elsewhere"]).toMatchObject({ version: "1.0.0", optional: true });
  });

  it("is a fault once where bun.lock has it at another range", async () => {
    const { requirements } = await project(bun, undefined, both("2"));
    const { faults } = await failureOf(readRequirements(requirements));
    expect(faults.map(({ message }) => message)).toEqual(["elsewhere is 2 in package.json and 1 in bun.lock"]);
  });
});

describe("a registry with other bytes than the lock", () => {
  it.each(
    sampleOf(
      RECORDED.filter(({ integrity }) => integrity),
      2,
    ),
  )("is refused: $file", async (recorded) => {
    const integrity = /sha512-[\w+/]{86}==/g;
    const wrong = `sha512-${"A".repeat(86)}==`;
    const { context, requirements, layout } = await project(recorded, (text) => text.replace(integrity, wrong));
    const plan = await planEnvironment({ name: "x", requirements }, context);
    const error = await failureOf(buildEnvironment(plan, layout, context));
    expect(JSON.stringify({ ...error, message: error.message })).toContain("EINTEGRITY");
  });
});
