import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildEnvironment, planEnvironment } from "../../src/image/environment-image.ts";
import { unpackPackages } from "../../src/image/unpack.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { readRequirements } from "../../src/packages/requirements.ts";
import { contextIn, failureOf, folder, npmEnv, run } from "../image/support.ts";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry([
    { name: "leaf", version: "1.0.0" },
    { name: "leaf", version: "1.1.0" },
    { name: "leaf", version: "2.0.0" },
    {
      name: "tree",
      version: "1.0.0",
      manifest: { dependencies: { leaf: "^1.0.0" }, bin: { tree: "cli.js" } },
      files: { "cli.js": "#!/usr/bin/env node\n" },
    },
    { name: "friend", version: "1.0.0", manifest: { peerDependencies: { leaf: "2" } } },
    { name: "tester", version: "1.0.0", manifest: { dependencies: { "for-tests": "1" } } },
    { name: "for-tests", version: "1.0.0" },
    { name: "elsewhere", version: "1.0.0", manifest: { os: ["plan9"] } },
    { name: "scripted", version: "1.0.0", manifest: { scripts: { postinstall: "exit 1" } } },
  ]);
});
afterAll(() => registry.close());

/** A project with a lock file that npm itself wrote. */
async function project(manifest: Record<string, unknown>, files: Record<string, string> = {}) {
  const dir = await folder();
  const context = contextIn(dir, npmEnv(dir, { npm_config_registry: registry.url }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(dir, path, ".."), { recursive: true });
    await writeFile(join(dir, path), text);
  }
  await writeFile(join(dir, "package.json"), JSON.stringify(manifest));
  await run("npm", ["install", "--package-lock-only", "--ignore-scripts"], { cwd: dir, env: context.env });
  const file = join(dir, "package-lock.json");
  return { dir, context, requirements: { file, written: "package-lock.json" }, layout: new OciLayout(join(dir, "l")) };
}

/** Changes a JSON file. */
async function change(file: string, edit: (value: Record<string, never>) => void) {
  const value = JSON.parse(await readFile(file, "utf8"));
  edit(value);
  await writeFile(file, JSON.stringify(value));
}

describe("requirements from a package-lock.json", () => {
  it("install exactly what is locked, for running alone, though newer versions would fit", async () => {
    const { dir, context, requirements, layout } = await project({
      dependencies: { tree: "1", leaf: "2.0.0", friend: "1" },
      devDependencies: { tester: "1" },
      optionalDependencies: { elsewhere: "1" },
      scripts: { postinstall: "exit 1" },
    });
    // npm chose 1.1.0 for the tree; the lock that counts says 1.0.0.
    const nested = "node_modules/tree/node_modules/leaf";
    const other = await project({ dependencies: { leaf: "1.0.0" } });
    const older = JSON.parse(await readFile(other.requirements.file, "utf8")).packages["node_modules/leaf"];
    await change(requirements.file, (lock: { packages?: Record<string, unknown> }) => {
      if (lock.packages) lock.packages[nested] = older;
    });

    const plan = await planEnvironment({ name: "x", requirements, packages: ["tree", "leaf"] }, context);
    expect(plan.packages).toEqual([
      { name: "elsewhere", version: "1.0.0" },
      { name: "friend", version: "1.0.0" },
      { name: "leaf", version: "2.0.0" },
      { name: "tree", version: "1.0.0" },
    ]);
    const image = await buildEnvironment(plan, layout, context);
    const packages = (await unpackPackages(layout, image, join(dir, "content"))) ?? "";
    expect((await readdir(packages)).sort()).toEqual([".bin", "friend", "leaf", "tree"]);
    const version = async (path: string) => JSON.parse(await readFile(join(packages, path, "package.json"), "utf8"));
    expect((await version("leaf")).version).toBe("2.0.0");
    expect((await version("tree/node_modules/leaf")).version).toBe("1.0.0");

    await change(requirements.file, (lock: { packages?: Record<string, unknown> }) => {
      if (lock.packages) lock.packages[nested] = { ...older, version: "1.1.0", integrity: undefined };
    });
    expect((await planEnvironment({ name: "x", requirements }, context)).tag).not.toBe(plan.tag);
  });

  it("need neither npm nor the network to know the tag, and have the same one in every folder", async () => {
    const manifest = { dependencies: { tree: "1" }, devDependencies: { tester: "1" } };
    const one = await project(manifest);
    const two = await project({ ...manifest, devDependencies: {} });
    const offline = { ...one.context, env: { PATH: join(one.context.appDir, "nothing") } };
    const plan = await planEnvironment({ name: "x", requirements: one.requirements }, offline);
    // What is for development only does not count.
    const other = await planEnvironment({ name: "x", requirements: two.requirements }, two.context);
    expect(other.tag).toBe(plan.tag);
    expect(plan.lock.lock.packages).not.toHaveProperty("node_modules/for-tests");
  });

  it("are refused by npm when the registry has other bytes than the lock", async () => {
    const { context, requirements, layout } = await project({ dependencies: { leaf: "2.0.0" } });
    const wrong = `sha512-${Buffer.alloc(64, 7).toString("base64")}`;
    await change(requirements.file, (lock: { packages?: Record<string, { integrity: string }> }) => {
      const leaf = lock.packages?.["node_modules/leaf"];
      if (leaf) leaf.integrity = wrong;
    });
    const plan = await planEnvironment({ name: "x", requirements }, context);
    const error = await failureOf(buildEnvironment(plan, layout, context));
    expect(error).toMatchObject({ exit: 7 });
    expect(JSON.stringify({ ...error, message: error.message })).toContain("EINTEGRITY");
  });

  it("follow the project's overrides", async () => {
    const { dir, context, requirements, layout } = await project({
      dependencies: { tree: "1" },
      overrides: { leaf: "1.0.0" },
    });
    const image = await buildEnvironment(await planEnvironment({ name: "x", requirements }, context), layout, context);
    const packages = (await unpackPackages(layout, image, join(dir, "content"))) ?? "";
    expect(JSON.parse(await readFile(join(packages, "leaf/package.json"), "utf8")).version).toBe("1.0.0");
  });

  it("say that install scripts are not run", async () => {
    const { context, requirements } = await project({ dependencies: { scripted: "1" } });
    expect((await planEnvironment({ name: "x", requirements }, context)).warnings).toEqual([
      "install scripts are not run (--allow-scripts runs them): scripted",
    ]);
  });
});

describe("faults of a lock file", () => {
  it("every disagreement with package.json is named", async () => {
    const { dir, requirements } = await project({ dependencies: { leaf: "^1.0.0", tree: "1" } });
    await change(join(dir, "package.json"), (manifest: { dependencies?: unknown }) => {
      manifest.dependencies = { leaf: "^2.0.0", friend: "1" };
    });
    const error = await failureOf(readRequirements(requirements));
    expect(error).toMatchObject({ code: "INVALID_REQUIREMENTS", exit: 2, next: ["npm install"] });
    expect(error.faults.map(({ path, message }) => `${path} ${message}`)).toEqual([
      "containerImage.requirements friend is 1 in package.json and not there in package-lock.json",
      "containerImage.requirements leaf is ^2.0.0 in package.json and ^1.0.0 in package-lock.json",
      "containerImage.requirements tree is not there in package.json and 1 in package-lock.json",
    ]);
  });

  it("what the app imports and what packages need has to be in it", async () => {
    const { requirements } = await project({ dependencies: { tree: "1" } });
    await change(requirements.file, (lock: { packages?: Record<string, unknown> }) => {
      delete lock.packages?.["node_modules/leaf"];
    });
    const error = await failureOf(readRequirements(requirements, ["tree", "@corp/native@1"]));
    expect(error.faults.map(({ message }) => message)).toEqual([
      "node_modules/tree needs leaf, which package-lock.json does not have",
      "the app imports @corp/native, which is no dependency in package-lock.json",
    ]);
  });

  it("folders of the machine cannot be frozen, unless they are for development", async () => {
    const local = { "lib/package.json": JSON.stringify({ name: "lib", version: "1.0.0" }) };
    const wrong = await project({ dependencies: { lib: "file:lib" } }, local);
    expect((await failureOf(readRequirements(wrong.requirements))).message).toContain("lib is a folder or a file");
    const fine = await project({ dependencies: { tree: "1" }, devDependencies: { lib: "file:lib" } }, local);
    expect((await readRequirements(fine.requirements)).packages).toEqual([{ name: "tree", version: "1.0.0" }]);
  });

  it("files that are missing, torn or too old, with the command that makes them right", async () => {
    const { dir, requirements } = await project({ dependencies: { leaf: "1" } });
    const next = "npm install --package-lock-only";
    const failure = () => failureOf(readRequirements(requirements));
    await change(requirements.file, (lock: { lockfileVersion?: number }) => {
      lock.lockfileVersion = 1;
    });
    expect(await failure()).toMatchObject({ next: [`${next} --lockfile-version=3`] });
    await writeFile(requirements.file, '{"lockfileVersion":3');
    expect((await failure()).message).toContain("package-lock.json is not JSON");
    await writeFile(requirements.file, "null");
    expect((await failure()).message).toContain("is not a lockfile of version 2 or 3");
    const packages = { "node_modules/a": null, "node_modules/b": {}, "node_modules/c": "1.0.0" };
    await writeFile(requirements.file, JSON.stringify({ lockfileVersion: 3, packages }));
    expect(await failure()).toMatchObject({
      code: "INVALID_REQUIREMENTS",
      next: [next],
      faults: ["a", "c"].map((name) => ({ message: expect.stringContaining(`"node_modules/${name}"`) })),
    });
    const missing = { file: join(dir, "other/package-lock.json"), written: "other/package-lock.json" };
    expect((await failureOf(readRequirements(missing))).message).toContain("the package.json beside");
    await mkdir(join(dir, "other"));
    await writeFile(join(dir, "other/package.json"), "{}");
    expect(await failureOf(readRequirements(missing))).toMatchObject({
      message: expect.stringContaining("other/package-lock.json does not exist"),
      next: [next],
    });
  });
});
