/**
 * The reference parts of the README, made from the code: `node test/readme-reference.ts` writes them, and a test fails when
 * they are not what the code says.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { APP_OPTIONS, SECRET_OPTIONS } from "../src/contract/app-options.ts";
import { IMAGE_OPTIONS } from "../src/contract/image-options.ts";
import type { OptionTable } from "../src/contract/option.ts";
import { EXIT_MEANINGS, ExitCode } from "../src/core/errors.ts";
import { SETTINGS, type Setting, settingText } from "../src/core/settings.ts";
import { CAUSES } from "../src/engine/causes.ts";
import { createProgram } from "../src/program.ts";
import type { Io } from "../src/ui/io.ts";

const root = join(import.meta.dirname, "..");
export const readmeFile = join(root, "README.md");

/** Where help texts go; 100 columns, no colour. */
function silentIo(sink: (text: string) => void): Io {
  const stream = { write: (text: string) => sink(text), isTTY: false, columns: 100 };
  return { stdout: stream, stderr: stream, env: {}, cwd: root } as never;
}

/** Every command that does something: its whole name and its help. */
export function commandPages(): { name: string; help: string }[] {
  let text = "";
  const program = createProgram(
    silentIo((part) => {
      text += part;
    }),
  );
  const pages: { name: string; help: string }[] = [];
  const visit = (command: Command, name: string) => {
    for (const child of command.commands) {
      if ((child as Command & { _hidden?: boolean })._hidden) continue;
      visit(child, `${name} ${child.name()}`);
    }
    if (command.commands.length > 0) return;
    text = "";
    command.outputHelp();
    pages.push({ name, help: text });
  };
  visit(program, "appctl");
  return pages;
}

function commandsPart(): string {
  const pages = commandPages();
  const links = pages.map(({ name }) => `[${name.slice("appctl ".length)}](#${name.replaceAll(" ", "-")})`);
  const sections = pages.map(({ name, help }) => {
    const own = help.replace(/\nGlobal options:\n[\s\S]*?(?=\n\S|$)/, "").trim();
    return `### ${name}\n\n\`\`\`text\n${own}\n\`\`\``;
  });
  const globals = /Global options:\n([\s\S]*?)\n\n/.exec(pages[0]?.help ?? "")?.[1]?.replace(/^ +-o.*\n/, "") ?? "";
  return [
    links.join(" · "),
    "",
    "Every command takes these, too:",
    "",
    "```text",
    globals,
    "```",
    "",
    sections.join("\n\n"),
  ].join("\n");
}

/** The option tables of the README. */
export const OPTION_TABLES: Record<string, OptionTable> = {
  "`new App({ … })`": APP_OPTIONS,
  "`new ImageSpec({ … })`": IMAGE_OPTIONS,
  "`new Secret({ … })`": SECRET_OPTIONS,
};

function fieldsPart(): string {
  const tables = Object.entries(OPTION_TABLES).map(([title, table]) => {
    const rows = Object.entries(table).map(([name, { doc }]) => `| \`${name}\` | ${doc.replaceAll("|", "\\|")} |`);
    return [`**${title}**`, "", "| field | meaning |", "|---|---|", ...rows].join("\n");
  });
  return tables.join("\n\n");
}

/** Each code of a failed deploy, with what its first row in the table of causes says. */
function causesPart(): string {
  const rows = new Map<string, string>();
  for (const { code, docs } of Object.values(CAUSES)) if (!rows.has(code)) rows.set(code, docs);
  return [
    "| code | what happened |",
    "|---|---|",
    ...[...rows].map(([code, docs]) => `| \`${code}\` | ${docs} |`),
  ].join("\n");
}

function exitCodesPart(): string {
  const rows = Object.entries(ExitCode).map(
    ([name, code]) => `| ${code} | ${EXIT_MEANINGS[name as keyof typeof ExitCode]} |`,
  );
  return ["| exit code | meaning |", "|---|---|", ...rows].join("\n");
}

function settingsPart(): string {
  const code = (text: string | undefined) => (text === undefined ? "" : `\`${text}\``);
  const rows = Object.values<Setting>(SETTINGS).map(
    (setting) =>
      `| ${code(setting.flag)} | ${code(setting.variable)} | ${code(setting.key)}${setting.userOnly ? " (user's file)" : ""} | ${settingText(setting)} |`,
  );
  return ["| flag | environment | file | setting |", "|---|---|---|---|", ...rows].join("\n");
}

const PARTS: Record<string, () => string> = {
  "exit codes": exitCodesPart,
  settings: settingsPart,
  commands: commandsPart,
  causes: causesPart,
  fields: fieldsPart,
};

/** The README with its reference parts as the code has them. */
export function withReference(readme: string): string {
  let text = readme;
  for (const [name, make] of Object.entries(PARTS)) {
    const part = new RegExp(`(<!-- ${name} -->\\n)[\\s\\S]*?(\\n<!-- end of ${name} -->)`);
    if (!part.test(text)) throw new Error(`README.md has no part ${name}`);
    text = text.replace(part, (_, start: string, end: string) => `${start}${make()}${end}`);
  }
  return text;
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(readmeFile, withReference(readFileSync(readmeFile, "utf8")));
}
