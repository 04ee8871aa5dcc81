import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { APP_ENVIRONMENT } from "../src/contract/app-environment.ts";
import { ExitCode } from "../src/core/errors.ts";
import { SETTINGS } from "../src/core/settings.ts";
import { TIERS } from "./tiers/tiers.ts";

const root = join(import.meta.dirname, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const source = (file: string) => readFileSync(join(root, file), "utf8");

describe("the README", () => {
  it("starts with two commands that the package has", () => {
    const [, block] = /## Two commands[\s\S]*?```sh\n([\s\S]*?)```/.exec(readme) ?? [];
    expect(block?.trim().split("\n")).toEqual(["npm start", "npm test"]);
    const { scripts } = JSON.parse(source("package.json")) as { scripts: Record<string, string> };
    expect(scripts).toMatchObject({ start: "sh bin/try.sh", test: "sh test/run.sh unit e2e" });
  });

  it("and the docs have every link's target", () => {
    const slug = (heading: string) =>
      heading
        .toLowerCase()
        .replace(/[^\w\s-]/g, "")
        .trim()
        .replace(/\s/g, "-");
    const pages = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".md"))
      .map((name) => join("docs", name));
    const anchorsOf = (page: string) =>
      [...source(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => slug(heading as string));
    const links = ["README.md", ...pages].flatMap((page) =>
      [...source(page).matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => ({ page, target: target as string })),
    );
    expect(links.length).toBeGreaterThan(80);
    const broken = links.filter(({ page, target }) => {
      if (target.startsWith("http")) return false;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : join(dirname(page), path);
      return !existsSync(join(root, file)) || (anchor !== undefined && !anchorsOf(file).includes(anchor));
    });
    expect(broken).toEqual([]);
  });

  it("lists the exit codes", () => {
    const listed = [...readme.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
    expect(listed).toEqual(Object.values(ExitCode));
  });

  it("names every folder of the source, and the reference every setting", () => {
    const settings = Object.values(SETTINGS).map(({ variable }) => variable);
    const pages = `${source("docs/reference/configuration.md")}${source("docs/reference/environment.md")}`;
    for (const name of [...settings, ...Object.keys(APP_ENVIRONMENT)]) expect(pages).toContain(`\`${name}\``);
    const entries = readdirSync(join(root, "src"), { withFileTypes: true });
    for (const { name } of entries.filter((entry) => entry.isDirectory())) expect(readme).toContain(`\`${name}/\``);
  });

  it("shows phases of a deploy that the code times", () => {
    const shown = [...readme.matchAll(/^ {1,6}\d+ {1,6}\d+ {2}(.+)$/gm)].map(([, name]) => name as string);
    expect(shown.length).toBeGreaterThan(8);
    const files = [
      ...["deploy", "check", "follow"].map((part) => `src/deploy/${part}.ts`),
      ...["prepare-image", "local-image", "deliver"].map((part) => `src/image/${part}.ts`),
      "src/app/load.ts",
      "src/commands/handlers/deploy-apps-handler.ts",
    ];
    const code = files.map(source).join("\n");
    for (const name of shown) expect(code).toContain(name.replace(/(until) .*$/, "$1 "));
  });

  it("shows the tiers of the tests as their runner has them", () => {
    const { scripts } = JSON.parse(source("package.json")) as { scripts: Record<string, string> };
    const rows = [...readme.matchAll(/^\| `npm (?:run )?([\w:]+)` \| .* \| .* \|$/gm)].map(
      ([, name]) => name as string,
    );
    const tiers = rows.map((name) => scripts[name]?.split(" ").at(-1) ?? name);
    expect(tiers).toEqual(Object.keys(TIERS));
    expect(source(".ci/run")).toContain(`sh test/run.sh --slowest 10 ${tiers.join(" ")}\n`);
  });

  it("names the folders of the tests", () => {
    const table = readme.slice(readme.indexOf("## Development"));
    const folders = [...table.matchAll(/`([\w/]+)\/`/g)].map(([, name]) => name as string);
    expect(folders.length).toBeGreaterThan(6);
    for (const folder of folders)
      expect(existsSync(join(root, "test", folder)) || folder === "test", folder).toBe(true);
  });

  it("shows an app that is the template, and an app that can be deployed", () => {
    expect(existsSync(join(root, "templates", "api-key", "app.ts"))).toBe(true);
    expect(readme).toContain(
      'export const hello = new App({ name: "hello", frameworkApp: app, requiresAuth: false });',
    );
  });
});
