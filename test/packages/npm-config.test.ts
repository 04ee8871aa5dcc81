import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { cleanEnvironment, npmConfig } from "../../src/packages/npm-config.ts";
import { redact } from "../../src/packages/npm-failure.ts";
import { folder, run } from "../image/support.ts";

it("drops everything that a real `npm run` adds, but for the user's own settings", async () => {
  const dir = await folder();
  await writeFile(join(dir, "package.json"), JSON.stringify({ name: "x", scripts: { show: "node show.cjs" } }));
  await writeFile(join(dir, "show.cjs"), "process.stdout.write(JSON.stringify(process.env))");
  const env = { PATH: process.env["PATH"], HOME: dir, npm_config_registry: "http://127.0.0.1:1/" };
  const { stdout } = await run("npm", ["run", "--silent", "--prefix", dir, "show"], { env, cwd: dir });
  const inside = JSON.parse(stdout.slice(stdout.indexOf("{")));
  expect(Object.keys(inside)).toEqual(expect.arrayContaining(["npm_lifecycle_event", "npm_config_local_prefix"]));
  const left = Object.keys(cleanEnvironment(inside)).filter((name) => /^npm_|^INIT_CWD$/i.test(name));
  // cache, globalconfig and userconfig are where the user's own configuration lies.
  expect(left.sort()).toEqual([
    "npm_config_cache",
    "npm_config_globalconfig",
    "npm_config_registry",
    "npm_config_userconfig",
  ]);
});

it("keeps what the user set, in any spelling", () => {
  const env = {
    NPM_CONFIG_REGISTRY: "r",
    "npm_config_@s:registry": "s",
    npm_config_noproxy: "corp",
    npm_config_yes: "true",
    npm_command: "exec",
  };
  expect(cleanEnvironment({ ...env })).toEqual({
    NPM_CONFIG_REGISTRY: "r",
    "npm_config_@s:registry": "s",
    npm_config_noproxy: "corp",
  });
});

it("knows the registries, makes relative paths whole and shortens retries nobody asked for", async () => {
  const dir = await folder();
  const npmrc = join(dir, ".npmrc");
  await writeFile(
    npmrc,
    "; c\nregistry = http://project/\n@s:registry=http://scope/\ncafile=./ca.pem\nfetch-retry-maxtimeout=9\n",
  );
  await writeFile(join(dir, "user"), "registry=http://user/\n@t:registry=http://t/\n");
  const config = await npmConfig({ HOME: dir, npm_config_userconfig: "user" }, dir, npmrc);
  expect(config.registries).toEqual([
    ["@s:registry", "http://scope/"],
    ["@t:registry", "http://t/"],
    ["registry", "http://project/"],
  ]);
  expect(config.env).toEqual({
    HOME: dir,
    npm_config_userconfig: join(dir, "user"),
    npm_config_cafile: join(dir, "ca.pem"),
    npm_config_fetch_retry_mintimeout: "500",
  });
  const own = await npmConfig(
    { HOME: dir, NPM_CONFIG_CAFILE: "/own.pem", npm_config_registry: "http://env/" },
    dir,
    npmrc,
  );
  expect(own.env["npm_config_cafile"]).toBeUndefined();
  expect(own.registries).toContainEqual(["registry", "http://env/"]);
});

it.each([
  ["GET https://me:pass@host/x failed", "GET https://***@host/x failed"],
  ["//host/:_authToken=abc def", "//host/:_authToken=*** def"],
  ["token npm_abcdefghijklmnopqrstuvwxyz0123456789", "token ***"],
  ["authorization: Bearer abc.def", "authorization: Bearer ***"],
  ["No matching version found for @hono/node-server@9", "No matching version found for @hono/node-server@9"],
])("redacts %s", (text, expected) => expect(redact(text)).toBe(expected));
