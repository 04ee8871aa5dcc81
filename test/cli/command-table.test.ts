import { expect, it } from "vitest";
import { COMMANDS, GROUPS, SHORT_VERBS } from "../../src/commands/command-table.ts";
import { globalFlags } from "../../src/commands/shared/global-flags.ts";
import { ExitCode } from "../../src/core/errors.ts";

/** Words that begin a verb phrase. */
const VERBS =
  /^(?:build|change|create|delete|follow|list|manage|move|print|remove|revoke|run|show|start|stop|store|deploy) /;

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
