import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ExitCode } from "../../src/core/errors.ts";
import { installPackages } from "../../src/packages/install-packages.ts";
import { hostTarget } from "../../src/packages/npm-target.ts";
import { resolvePackages } from "../../src/packages/resolve-packages.ts";
import { contextIn, failureOf, folder, npmEnv, run } from "../image/support.ts";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";

const open: TestRegistry[] = [];
afterAll(async () => {
  for (const registry of open) await registry.close();
});

async function registryWith(...args: Parameters<typeof startRegistry>): Promise<TestRegistry> {
  const registry = await startRegistry(...args);
  open.push(registry);
  return registry;
}

const catalogue = [
  { name: "leaf", version: "1.0.0" },
  { name: "leaf", version: "1.1.0" },
  { name: "leaf", version: "2.0.0-rc.1" },
  { name: "leaf", version: "2.0.0" },
  {
    name: "tree",
    version: "1.0.0",
    manifest: { dependencies: { leaf: "^1.0.0" }, bin: { tree: "cli.js" } },
    files: { "cli.js": "#!/usr/bin/env node\n" },
  },
  { name: "@corp/tool", version: "1.0.0" },
  {
    name: "scripted",
    version: "1.0.0",
    manifest: { scripts: { postinstall: "node -e \"require('fs').writeFileSync('ran','')\"" }, hasInstallScript: true },
  },
  { name: "orphan", version: "1.0.0", manifest: { dependencies: { "not-there": "1" } } },
];

async function setUp(env: NodeJS.ProcessEnv = {}, options: Parameters<typeof startRegistry>[1] = {}) {
  const dir = await folder();
  const registry = await registryWith(catalogue, options);
  await writeFile(join(dir, "package.json"), "{}");
  const context = {
    ...contextIn(dir, npmEnv(dir, { npm_config_registry: registry.url, ...env })),
    platform: hostTarget(),
  };
  return { dir, registry, context };
}

describe("resolvePackages", () => {
  it("gives every package one version, in a lock without addresses, and knows it the next time without npm", async () => {
    const { registry, context } = await setUp();
    const packages = ["tree", "leaf@^1.0"];
    const first = await resolvePackages({ ...context, packages });
    expect(first).toMatchObject({ cached: false, warnings: [] });
    expect(first.lock.packages).toEqual([
      { name: "leaf", version: "1.1.0" },
      { name: "tree", version: "1.0.0" },
    ]);
    expect(JSON.stringify(first.lock)).not.toContain("127.0.0.1");
    expect(await readdir(join(context.cacheDir, "tmp"))).toEqual([]);
    await registry.close();
    const again = await resolvePackages({
      ...context,
      env: { ...context.env, PATH: join(context.appDir, "nothing") },
      packages: [...packages].reverse(),
    });
    expect(again).toEqual({ ...first, cached: true });
    // With a cache of its own, since npm itself makes do with what it knows when nobody answers.
    const env = { ...context.env, npm_config_cache: join(context.cacheDir, "fresh") };
    const refreshed = await failureOf(resolvePackages({ ...context, env, packages, refresh: true }));
    expect(refreshed.code).toBe("REGISTRY_UNAVAILABLE");
  });

  it("does not take the lock of one registry for another's", async () => {
    const { context } = await setUp();
    const first = await resolvePackages({ ...context, packages: ["leaf"] });
    const other = await registryWith([{ name: "leaf", version: "7.0.0" }]);
    const env = { ...context.env, npm_config_registry: other.url };
    const second = await resolvePackages({ ...context, env, packages: ["leaf"] });
    expect([first, second].map(({ lock }) => lock.packages[0]?.version)).toEqual(["2.0.0", "7.0.0"]);
  });

  it("takes the version of the user's lock file for a name without one, and warns where a pin disagrees", async () => {
    const { dir, context } = await setUp();
    const lock = { lockfileVersion: 3, packages: { "node_modules/leaf": { version: "1.0.0" } } };
    await writeFile(join(dir, "package-lock.json"), JSON.stringify(lock));
    const plain = await resolvePackages({ ...context, packages: ["leaf", "tree"] });
    expect(plain.lock.packages[0]).toEqual({ name: "leaf", version: "1.0.0" });
    expect(plain.warnings).toEqual([]);
    const pinned = await resolvePackages({ ...context, packages: ["leaf@1.1.0"] });
    expect(pinned.lock.packages).toEqual([{ name: "leaf", version: "1.1.0" }]);
    expect(pinned.warnings).toEqual([`the image pins leaf@1.1.0, but ${join(dir, "package-lock.json")} has 1.0.0`]);
  });

  it("names every package and version that does not exist, with versions that do", async () => {
    const { dir, context } = await setUp();
    const lock = { lockfileVersion: 3, packages: { "node_modules/tree": { version: "9.9.9" } } };
    await writeFile(join(dir, "package-lock.json"), JSON.stringify(lock));
    const error = await failureOf(
      resolvePackages({ ...context, packages: ["@corp/tool", "leaf@3", "no-such", "tree"] }),
    );
    expect(error).toMatchObject({
      code: "PACKAGE_NOT_FOUND",
      exit: ExitCode.build,
      message: "3 packages of the image do not exist",
    });
    expect(error.faults).toEqual([
      {
        path: "containerImage.packages[1]",
        message: "the npm package leaf has no version 3",
        hint: "versions that exist: 2.0.0, 1.1.0, 1.0.0",
      },
      {
        path: "containerImage.packages[2]",
        message: "the npm package no-such does not exist, or may not be read",
        hint: expect.stringContaining("spelling"),
      },
      {
        path: "containerImage.packages[3]",
        message: `the npm package tree has no version 9.9.9, which ${join(dir, "package-lock.json")} names`,
        hint: "versions that exist: 1.0.0",
      },
    ]);
  });

  it("says so when it is a dependency that does not exist", async () => {
    const { context } = await setUp();
    const error = await failureOf(resolvePackages({ ...context, packages: ["orphan"] }));
    expect(error.code).toBe("PACKAGE_NOT_FOUND");
    expect(error.message).toContain("not-there");
  });

  it("checks every name before npm is asked", async () => {
    const { registry, context } = await setUp();
    expect(
      (await failureOf(resolvePackages({ ...context, packages: ["leaf", "a b", "git+ssh://x"] }))).faults,
    ).toHaveLength(2);
    expect(registry.requests).toEqual([]);
  });

  it("is unavailable (6) when nobody answers, and says when there is no npm", async () => {
    const { registry, context } = await setUp();
    await registry.close();
    const error = await failureOf(resolvePackages({ ...context, packages: ["leaf"] }));
    expect(error).toMatchObject({ code: "REGISTRY_UNAVAILABLE", exit: ExitCode.unavailable });
    expect(error.message).toContain("ECONNREFUSED");
    const env = { ...context.env, PATH: join(context.cacheDir, "empty") };
    expect((await failureOf(resolvePackages({ ...context, env, packages: ["leaf"] }))).code).toBe("NPM_MISSING");
  });

  it("ends npm and leaves nothing behind when it is aborted", async () => {
    const abort = new AbortController();
    const { dir, context } = await setUp({}, { hold: () => abort.abort(new Error("enough")) });
    await expect(resolvePackages({ ...context, signal: abort.signal, packages: ["leaf"] })).rejects.toThrow("enough");
    expect(await readdir(join(dir, "cache", "tmp"))).toEqual([]);
    const { stdout } = await run("ps", ["-eo", "args"]);
    expect(stdout.split("\n").filter((line) => line.includes(dir))).toEqual([]);
  });

  it("sweeps up the folder of a killed run", async () => {
    const { context } = await setUp();
    const dead = spawn("true");
    await once(dead, "exit");
    const left = join(context.cacheDir, "tmp", `${dead.pid}-abcdef`);
    await mkdir(left, { recursive: true });
    await resolvePackages({ ...context, packages: ["leaf"] });
    await expect(stat(left)).rejects.toThrow("ENOENT");
  });
});

describe("the user's npm configuration", () => {
  it("brings credentials and scopes of the project's .npmrc, and never prints them", async () => {
    const dir = await folder();
    const open = await registryWith(catalogue);
    const corp = await registryWith(catalogue, { token: "s3cret-token" });
    await writeFile(join(dir, "package.json"), "{}");
    const host = new URL(corp.url).host;
    await writeFile(
      join(dir, ".npmrc"),
      `registry=${open.url}\n@corp:registry=${corp.url}\n//${host}/:_authToken=\${CORP_TOKEN}\n`,
    );
    const make = (token: string) => ({
      ...contextIn(dir, npmEnv(dir, { CORP_TOKEN: token })),
      platform: hostTarget(),
    });
    const packages = ["@corp/tool", "leaf"];
    const refused = await failureOf(resolvePackages({ ...make("wr0ng-token"), packages }));
    expect(refused).toMatchObject({ code: "REGISTRY_REFUSED", exit: ExitCode.build });
    expect(JSON.stringify([refused.message, refused.details])).not.toContain("wr0ng");

    const context = make("s3cret-token");
    const { lock } = await resolvePackages({ ...context, packages });
    const tree = await installPackages(lock, context);
    expect((await readdir(tree.nodeModules ?? "")).sort()).toEqual([".package-lock.json", "@corp", "leaf"]);
    await tree.dispose();
    expect(corp.requests.map(({ path }) => path)).not.toContain("/leaf");
    expect(open.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
    const { stdout } = await run("grep", ["-rlE", "s3cret", context.cacheDir]).catch((error) => error);
    expect(stdout).toBe("");
  });

  it("finds a cafile that .npmrc names by a relative path", async () => {
    const dir = await folder();
    await run("openssl", [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=127.0.0.1",
      "-addext",
      "subjectAltName=IP:127.0.0.1",
      "-keyout",
      join(dir, "key.pem"),
      "-out",
      join(dir, "ca.pem"),
    ]);
    const [key, cert] = await Promise.all(["key.pem", "ca.pem"].map((name) => readFile(join(dir, name), "utf8")));
    const registry = await registryWith(catalogue, { tls: { key: key ?? "", cert: cert ?? "" } });
    await writeFile(join(dir, "package.json"), "{}");
    await writeFile(join(dir, ".npmrc"), `registry=${registry.url}\n`);
    const context = { ...contextIn(dir, npmEnv(dir)), platform: hostTarget() };
    const untrusted = await failureOf(resolvePackages({ ...context, packages: ["leaf"] }));
    expect(untrusted).toMatchObject({ code: "NPM_FAILED", hint: expect.stringContaining("cafile") });
    await writeFile(join(dir, ".npmrc"), `registry=${registry.url}\ncafile=ca.pem\n`);
    const { lock } = await resolvePackages({ ...context, packages: ["leaf"] });
    expect(lock.packages).toEqual([{ name: "leaf", version: "2.0.0" }]);
  });

  it("goes through the proxy", async () => {
    const { registry, context } = await setUp();
    // An http registry is asked through a proxy with whole URLs, which the test's registry understands.
    const settings = `registry=http://registry.invalid/\nproxy=${registry.url}\n`;
    await writeFile(join(context.appDir, ".npmrc"), settings);
    const { npm_config_registry: _, ...env } = context.env;
    const { lock } = await resolvePackages({ ...context, env, packages: ["leaf"] });
    expect(lock.packages).toEqual([{ name: "leaf", version: "2.0.0" }]);
    expect(registry.requests.map(({ headers }) => headers.host)).toContain("registry.invalid");
  });
});

describe("installPackages", () => {
  it("installs the locked versions without scripts, says how far it is, and takes itself away", async () => {
    const { context } = await setUp({
      npm_config_ignore_scripts: "false",
      NODE_ENV: "production",
      npm_config_global: "true",
    });
    const { lock, warnings } = await resolvePackages({ ...context, packages: ["tree", "scripted"] });
    expect(warnings).toEqual(["install scripts are not run (--allow-scripts runs them): scripted"]);
    const tree = await installPackages(lock, context);
    const root = tree.nodeModules ?? "";
    expect((await readdir(root)).sort()).toEqual([".bin", ".package-lock.json", "leaf", "scripted", "tree"]);
    expect(JSON.parse(await readFile(join(root, "leaf/package.json"), "utf8")).version).toBe("1.1.0");
    expect(await readdir(join(root, "scripted"))).not.toContain("ran");
    const install = context.progress.filter(({ step }) => step === "install");
    expect(install.map(({ done }) => done)).toEqual([0, 1, 2, 3]);
    expect(install.every(({ total }) => total === 3)).toBe(true);
    await tree.dispose();
    expect(await readdir(join(context.cacheDir, "tmp"))).toEqual([]);
  });

  it("runs install scripts when that is allowed, without a warning", async () => {
    const { context } = await setUp();
    const allowed = { ...context, allowScripts: true };
    const { lock, warnings } = await resolvePackages({ ...allowed, packages: ["scripted"] });
    expect(warnings).toEqual([]);
    const tree = await installPackages(lock, allowed);
    expect(await readdir(join(tree.nodeModules ?? "", "scripted"))).toContain("ran");
    await tree.dispose();
  });

  it("fails, and leaves nothing, when the registry has something else than what was locked", async () => {
    const { dir, context } = await setUp();
    const { lock } = await resolvePackages({ ...context, packages: ["leaf@1.0.0"] });
    const other = await registryWith([{ name: "leaf", version: "1.0.0", files: { "evil.js": "" } }]);
    const env = npmEnv(dir, { npm_config_registry: other.url, npm_config_cache: join(dir, "another-cache") });
    const error = await failureOf(installPackages(lock, { ...context, env }));
    expect(error).toMatchObject({ code: "NPM_FAILED", exit: ExitCode.build, hint: expect.stringContaining("force") });
    expect(error.details.join("\n")).toContain("Integrity");
    expect(await readdir(join(context.cacheDir, "tmp"))).toEqual([]);
  });
});
