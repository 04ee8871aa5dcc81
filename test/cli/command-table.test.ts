import { expect, it } from "vitest";
import { COMMANDS, GROUPS, SHORT_VERBS } from "../../src/commands/command-table.ts";
import { globalFlags } from "../../src/commands/shared/global-flags.ts";
import { ExitCode } from "../../src/core/errors.ts";
import { createProgram } from "../../src/program.ts";
import { fakeIo } from "../ui/fake-io.ts";

/** Words that begin a verb phrase. */
const VERBS =
  /^(?:build|change|create|delete|follow|list|manage|move|print|remove|replace|revoke|run|show|start|stop|store|deploy) /;

it.each(COMMANDS.map((row) => [row.words, row] as const))(
  "%s: has what help and reference need",
  async (words, row) => {
    expect(row.summary).toMatch(VERBS);
    const texts = [row.summary, ...[...(row.arguments ?? []), ...(row.flags ?? [])].map(({ summary }) => summary)];
    for (const text of texts)
      expect(text).not.toMatch(/\.$|^(?!TypeScript)[A-Z][a-z]|the same|\b(?:stand|beside|told|asked)/);
    const usages = [...(row.flags ?? []), ...globalFlags(row.outputs)].flatMap(
      ({ usage }) => usage.match(/--?[\w-]+/g) ?? [],
    );
    expect(new Set(usages).size).toBe(usages.length);
    expect(row.outputs[0]).toBe("text");
    for (const code of row.exitCodes) expect(Object.values(ExitCode)).toContain(code);
    expect(new Set(row.exitCodes).size).toBe(row.exitCodes.length);
    expect(words.split(" ").length).toBeLessThan(3);
    expect(await row.load()).toBeTypeOf("function");
  },
);

it("no word means two commands", () => {
  const lines = COMMANDS.flatMap(({ words, aliases = [] }) => {
    const verb = words.split(" ").slice(0, -1);
    return [words, ...aliases.map((alias) => [...verb, alias].join(" "))];
  });
  expect(new Set(lines).size).toBe(lines.length);
});

it("every verb with nouns has a summary, and a verb whose noun may be left out has one noun", () => {
  const nouns = Map.groupBy(
    COMMANDS.map(({ words }) => words.split(" ")).filter(({ length }) => length > 1),
    ([verb = ""]) => verb,
  );
  expect([...nouns.keys()].sort()).toEqual(Object.keys(GROUPS).sort());
  for (const verb of SHORT_VERBS) expect(nouns.get(verb)).toHaveLength(1);
});

it.each(COMMANDS.flatMap((row) => row.examples.map((example) => [example, row] as const)))(
  "%s: commander leads it to its own command",
  async (example, row) => {
    const [, line = ""] = /\bappctl ([^|)<>]*)/.exec(example) ?? [];
    const program = createProgram(fakeIo().io);
    let reached: { words: string; output: string } | undefined;
    for (const { words } of COMMANDS) {
      const [verb, noun] = words.split(" ");
      const parent = program.commands.find((command) => command.name() === verb);
      const leaf = noun === undefined ? parent : parent?.commands.find((command) => command.name() === noun);
      leaf?.action(() => {
        reached = { words, output: leaf.opts()["output"] ?? "text" };
      });
    }
    await program.parseAsync(line.trim().split(/\s+/), { from: "user" });
    expect(reached?.words).toBe(row.words);
    expect(row.outputs).toContain(reached?.output);
  },
);
