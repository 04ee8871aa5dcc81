/** Holds README.md and docs/ to the code: commands, flags, variables, codes, paths, links and what they claim of the tests. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { COMMANDS, SHORT_VERBS } from "../src/commands/command-table.ts";
import { globalFlags } from "../src/commands/shared/global-flags.ts";
import { APP_ENVIRONMENT } from "../src/contract/app-environment.ts";
import { ExitCode } from "../src/core/errors.ts";
import { SETTINGS } from "../src/core/settings.ts";
import { TIERS } from "./tiers/tiers.ts";

const root = join(import.meta.dirname, "..");
const source = (file: string) => readFileSync(join(root, file), "utf8");
const readme = source("README.md");
const { scripts } = JSON.parse(source("package.json")) as { scripts: Record<string, string> };

/** Every page, by its path from the root. */
const pages = [
  ...["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"],
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];
const written = pages.filter((page) => !page.startsWith("docs/reference/"));

/** Code in a page: fenced blocks with their language, and the words in backticks outside of them. */
function codeOf(page: string): { blocks: { language: string; lines: string[] }[]; words: string[] } {
  const text = source(page);
  const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)].map(([, language = "", body = ""]) => ({
    language,
    lines: body.split("\n").slice(0, -1),
  }));
  const words = [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`\n]+(?:\n[^`\n]+)?)`/g)].map(
    ([, word = ""]) => word.replace("\n", " "),
  );
  return { blocks, words };
}

/** Command lines of appctl in shell blocks, in transcripts after `$`, and in backticks; each with its page. */
const commandLines = pages.flatMap((page) => {
  const { blocks, words } = codeOf(page);
  const shell = blocks.flatMap(({ language, lines }) =>
    language === "sh" || language === "yaml"
      ? lines
      : language === "ts"
        ? []
        : lines.filter((line) => /^(?:\$| {2}npx) /.test(line)),
  );
  const texts = [...shell, ...words.filter((word) => /^(?:npx )?appctl /.test(word))];
  return texts.flatMap((text) =>
    [...text.matchAll(/\bappctl ((?:[a-z]|-)[^|)"`]*)/g)].map(([, line = ""]) => ({ page, line: line.trim() })),
  );
});

describe("the README", () => {
  it("is read once: at most 250 lines", () => {
    expect(readme.split("\n").length - 1).toBeLessThanOrEqual(250);
  });

  it("starts with two commands that the package has", () => {
    const [, block] = /## Two commands[\s\S]*?```sh\n([\s\S]*?)```/.exec(readme) ?? [];
    expect(block?.trim().split("\n")).toEqual(["npm start", "npm test"]);
    expect(scripts).toMatchObject({ start: "sh bin/try.sh", test: "sh test/run.sh unit e2e" });
  });

  it("lists the exit codes", () => {
    const listed = [...readme.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
    expect(listed).toEqual(Object.values(ExitCode));
  });

  it("deploys an app that the first command deploys, too", () => {
    const [, words] = /npx appctl deploy apps (templates\/\S+ \S+)/.exec(readme) ?? [];
    const [file = "", name = ""] = (words ?? "").split(" ");
    expect(source(file)).toContain(`name: "${name}"`);
    const script = source("bin/try.sh");
    expect(script).toContain(`app=${name}\n`);
    expect(script).toContain(`file=${file}\n`);
  });
});

describe("every page", () => {
  const links = pages.flatMap((page) =>
    [...source(page).matchAll(/\]\(([^)]+)\)/g)].map(([, target = ""]) => {
      const [path = "", anchor] = target.split("#");
      return { page, target, file: path === "" ? page : join(dirname(page), path), anchor };
    }),
  );

  it("has links that lead somewhere", () => {
    const slug = (heading: string) =>
      heading
        .toLowerCase()
        .replace(/[^\w\s-]/g, "")
        .trim()
        .replace(/\s/g, "-");
    const anchorsOf = (page: string) =>
      [...source(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => slug(heading as string));
    expect(links.length).toBeGreaterThan(80);
    const broken = links.filter(
      ({ target, file, anchor }) =>
        !target.startsWith("http") &&
        (!existsSync(join(root, file)) || (anchor !== undefined && !anchorsOf(file).includes(anchor))),
    );
    expect(broken).toEqual([]);
  });

  it("is reached from the README in two clicks", () => {
    const from = (page: string) => links.filter((link) => link.page === page).map(({ file }) => file);
    const reached = new Set(["README.md", ...from("README.md"), ...from("README.md").flatMap(from)]);
    expect(pages.filter((page) => !reached.has(page))).toEqual([]);
  });

  it("shows commands and flags that there are", () => {
    expect(commandLines.length).toBeGreaterThan(100);
    const faults = commandLines.filter(({ line }) => !isCommandLine(line));
    expect(faults).toEqual([]);
  });

  it("names flags that some command has, or another program", () => {
    const flags = new Set([
      ...COMMANDS.flatMap(({ flags = [], outputs }) => [...flags, ...globalFlags(outputs)]).flatMap(
        ({ usage }) => usage.match(/--[\w-]+/g) ?? [],
      ),
      ...["--help", "--version"],
    ]);
    const named = written.flatMap((page) =>
      codeOf(page).words.flatMap((word) =>
        /^--[\w-]+/.exec(word) ? [{ page, flag: /^--[\w-]+/.exec(word)?.[0] }] : [],
      ),
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter(({ flag }) => !flags.has(flag as string))).toEqual([]);
  });

  it("names environment variables that the code reads or sets", () => {
    const variables = new Set([
      ...Object.values(SETTINGS).map(({ variable }) => variable),
      ...Object.keys(APP_ENVIRONMENT),
      "APPCTL_MASTER_KEY_FILE",
    ]);
    const faults = pages.flatMap((page) =>
      [...source(page).matchAll(/\bAPPCTL_\w+/g)]
        .map(([name]) => name)
        .filter((name) => !variables.has(name))
        .map((name) => ({ page, name })),
    );
    expect(faults).toEqual([]);
  });

  it("names error codes that the code throws", () => {
    const sources = execFileSync("grep", ["-rhoE", '"[A-Z]+(_[A-Z]+)+"|[A-Z]+(_[A-Z]+)+:', "src"], {
      cwd: root,
      encoding: "utf8",
    });
    const codes = new Set(sources.split("\n").map((line) => line.replace(/[":]/g, "")));
    const faults = written.flatMap((page) =>
      codeOf(page)
        .words.filter((word) => /^[A-Z]+(?:_[A-Z]+)+$/.test(word))
        .filter(
          (word) => !codes.has(word) && !/^(?:ERR_|APPCTL_|DOCKER_|NODE_|NO_COLOR|FORCE_|HTTPS?_|NO_PROXY)/.test(word),
        )
        .map((word) => ({ page, word })),
    );
    expect(faults).toEqual([]);
  });

  it("names files that there are", () => {
    const faults = written.flatMap((page) =>
      codeOf(page)
        .words.filter((word) => /^(?:src|test|bin|templates|docs)\/[\w./-]*$/.test(word))
        .filter((word) => !existsSync(join(root, word)))
        .map((word) => ({ page, word })),
    );
    expect(faults).toEqual([]);
  });

  it("says what it says in plain words", () => {
    const faults = pages.flatMap((page) =>
      source(page)
        .replace(/^```[\s\S]*?^```/gm, "")
        .split("\n")
        .filter((line) => /\b(?:stands?(?! for)|beside|told|anew|as ever|whoever|in good order)\b/i.test(line))
        .filter((line) => !line.startsWith("| "))
        .map((line) => ({ page, line })),
    );
    expect(faults).toEqual([]);
  });
});

/** True for a line whose command is in the table and has each of the line's flags. */
function isCommandLine(line: string): boolean {
  const words = line.replace(/\s[>2].*$/, "").split(/\s+/);
  if (words[0]?.startsWith("-")) return words[0] === "--version" || words[0] === "--help";
  const [verb = "", noun = ""] = words;
  const row = COMMANDS.find(({ words: name, aliases = [] }) => {
    const [its = "", last] = name.split(" ");
    if (its !== verb) return false;
    return last === undefined || [last, ...aliases].includes(noun) || (SHORT_VERBS.includes(verb) && noun !== "");
  });
  // A verb alone, or with a placeholder, is the name of a group.
  if (!row) return words.length === 1 && COMMANDS.some(({ words: name }) => name.startsWith(`${verb} `));
  const usages = [...(row.flags ?? []), ...globalFlags(row.outputs)].flatMap(
    ({ usage }) => usage.match(/--?[\w-]+/g) ?? [],
  );
  return words
    .filter((word) => /^--?[a-z]/.test(word))
    .every((word) => [...usages, "--help"].includes(word.split("=")[0] ?? ""));
}

describe("a page about", () => {
  it("configuration has every setting", () => {
    const settings = Object.values(SETTINGS).map(({ variable }) => variable);
    const text = `${source("docs/reference/configuration.md")}${source("docs/reference/environment.md")}`;
    for (const name of [...settings, ...Object.keys(APP_ENVIRONMENT)]) expect(text).toContain(`\`${name}\``);
  });

  it("the architecture names every folder of the source", () => {
    const page = source("docs/contributing/architecture.md");
    const entries = readdirSync(join(root, "src"), { withFileTypes: true });
    for (const { name } of entries.filter((entry) => entry.isDirectory())) expect(page).toContain(`\`${name}/\``);
  });

  it("a deploy shows phases that the code times", () => {
    const shown = [...source("docs/get-started.md").matchAll(/^ {1,6}\d+ {1,6}\d+ {2}(.+)$/gm)].map(
      ([, name]) => name as string,
    );
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

  it("the guide shows the code of its template, line by line", () => {
    const template = source("templates/guide/app.ts").split("\n");
    const lines = codeOf("docs/guides/api-key-auth.md")
      .blocks.filter(({ language }) => language === "ts")
      .flatMap(({ lines: body }) => body);
    expect(lines.length).toBeGreaterThan(40);
    for (const line of lines) expect(template).toContain(line);
    const shown = new Set(lines);
    const isNote = (line: string) => /^\s*\/[/*]/.test(line);
    expect(template.filter((line) => !shown.has(line) && !isNote(line))).toEqual([]);
  });

  it("tests shows the tiers as their runner has them", () => {
    const page = source("docs/contributing/testing.md");
    const rows = [...page.matchAll(/^\| `npm (?:run )?([\w:]+)` \| .* \| .* \|$/gm)].map(([, name]) => name as string);
    const tiers = rows.map((name) => scripts[name]?.split(" ").at(-1) ?? name);
    expect(tiers).toEqual(Object.keys(TIERS));
    expect(source(".ci/run")).toContain(`sh test/run.sh --slowest 10 ${tiers.join(" ")}\n`);
    const folders = [...page.matchAll(/`([\w/]+)\/`/g)].map(([, name]) => name as string);
    expect(folders.length).toBeGreaterThan(6);
    for (const folder of folders)
      expect(existsSync(join(root, "test", folder)) || folder === "test", folder).toBe(true);
  });
});
