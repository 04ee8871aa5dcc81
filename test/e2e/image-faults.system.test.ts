/** What is wrong with an image is told in one answer, at the place where it is. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { startRegistry, type TestRegistry } from "../support/npm-registry.ts";
import { World } from "./harness.ts";

let world: World;
let npm: TestRegistry;
beforeAll(async () => {
  world = await World.create();
  npm = await startRegistry([{ name: "greeting", version: "1.0.0" }]);
});
afterAll(async () => {
  await world?.close();
  await npm?.close();
});

/** The error of `build` for an app with that ImageSpec, and what a person sees of it. */
async function faultsOf(name: string, spec: string, imports = "") {
  const cwd = world.folder(name, {
    "app.ts": `import { App, ImageSpec } from "appctl";
      ${imports}
      export default new App({ name: "web", containerImage: new ImageSpec(${spec}),
        frameworkApp: { fetch: () => new Response("") } });`,
  });
  const env = { npm_config_registry: npm.url, APPCTL_BASE_IMAGE: "scratch" };
  const { stdout } = await world.run(["build", "app.ts", "-o", "json"], { cwd, env });
  const { stderr } = await world.run(["build", "app.ts"], { cwd, env });
  return { error: JSON.parse(stdout).error, stderr };
}

it("names files that are not there and a lock file that is not there together", async () => {
  const { error } = await faultsOf("both", '{ copy: ["../x", "none/**"], requirements: "sub/package-lock.json" }');
  expect(error).toMatchObject({ exitCode: 2, message: "the image of web is not valid" });
  expect(error.faults.map(({ path }: { path: string }) => path)).toEqual([
    "containerImage.copy[0]",
    "containerImage.copy[1]",
    "containerImage.requirements",
  ]);
});

it("names the file for a package that has to be there before the ImageSpec is known, and says it once", async () => {
  const { error, stderr } = await faultsOf(
    "before",
    '{ packages: ["greeting@9.9.9"] }',
    'import greeting from "greeting"; console.log(greeting);',
  );
  expect(error).toMatchObject({ code: "PACKAGE_NOT_FOUND", exitCode: 7, faults: [{ path: "app.ts" }] });
  expect(stderr.split("has no version 9.9.9")).toHaveLength(2);
  expect(stderr).toMatch(/^ {2}app\.ts\n {2}hint: versions that exist: 1\.0\.0$/m);
});
