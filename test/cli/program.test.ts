import { describe, expect, it } from "vitest";
import { SHORT_VERBS } from "../../src/commands/command-table.ts";
import { isAppctlError } from "../../src/core/errors.ts";
import { createProgram, runProgram } from "../../src/program.ts";
import { fakeIo } from "../ui/fake-io.ts";

type Commander = ReturnType<typeof createProgram>;

const all = (command: Commander): Commander[] => [command, ...command.commands.flatMap(all)];
const pathOf = (command: Commander): string[] => (command.parent ? [...pathOf(command.parent), command.name()] : []);
const commands = all(createProgram(fakeIo().io));
const leaves = commands.filter((command) => command.commands.length === 0);

async function help(...args: string[]): Promise<string> {
  const { io, stdout } = fakeIo();
  await runProgram(io, [...args, "--help"]);
  return stdout();
}

/** The usage error of a command line that is wrong. */
async function wrong(...args: string[]) {
  const { io, stdout } = fakeIo();
  const error: unknown = await runProgram(io, args).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isAppctlError(error)) throw new Error(`no usage error for ${args.join(" ")}: ${error}`);
  expect([stdout(), error.exit]).toEqual(["", 2]);
  return error;
}

describe("the command tree", () => {
  it("has every command", () => {
    expect(leaves.map((command) => pathOf(command).join(" ")).sort()).toEqual([
      "attach",
      "build",
      "create admin-api-key",
      "create api-key",
      "create secret",
      "delete api-key",
      "delete apps",
      "delete secret",
      "deploy apps",
      "get api-key",
      "get apps",
      "get secret",
      "images",
      "logs apps",
      "open",
      "platform logs",
      "platform reset",
      "platform run",
      "platform start",
      "platform status",
      "platform stop",
      "platform upgrade",
      "prune cache",
      "prune images",
      "rollback",
      "start apps",
      "stop apps",
      "update secret",
    ]);
  });

  it.each(commands.map((command) => [pathOf(command).join(" ") || "(root)", command] as const))(
    "%s: help with examples that the command line itself understands",
    async (_, command) => {
      const text = await help(...pathOf(command));
      expect(text).toMatch(/^Usage: appctl/);
      const examples = [...text.matchAll(/^ {2}\$ (.*)$/gm)].map((match) => match[1] as string);
      expect(examples.length).toBeGreaterThan(0);
      for (const example of examples) {
        const [, line = ""] = /\bappctl ([^|)]*)/.exec(example) ?? [];
        const words = line.split("<")[0]?.trim().split(/\s+/) ?? [];
        const target = commands
          .filter((each) =>
            pathOf(each).every((word, index) => word === words[index] || each.aliases().includes(words[index] ?? "")),
          )
          .sort((a, b) => pathOf(b).length - pathOf(a).length)[0];
        const [only] = target?.commands ?? [];
        const runs = target && only && SHORT_VERBS.includes(target.name()) ? only : target;
        expect(runs?.commands, example).toEqual([]);
        for (const flag of words.filter((word) => word.startsWith("-") && word !== "-")) {
          expect(
            runs?.options.some((option) => option.long === flag || option.short === flag),
            `${example}: ${flag}`,
          ).toBe(true);
        }
      }
    },
  );

  it("gives every command the global options, after it and before the verb", async () => {
    for (const command of leaves) {
      const longs = command.options.map((option) => option.long);
      for (const flag of [
        "--project",
        "--domain",
        "--config",
        "--endpoint",
        "--port",
        "--output",
        "--color",
        "--verbose",
      ]) {
        expect(longs, pathOf(command).join(" ")).toContain(flag);
      }
    }
    expect((await wrong("--port", "0", "get", "apps")).message).toContain('--port "0"');
    expect((await wrong("-o", "ndjson", "get", "apps")).message).toContain("-o ndjson");
  });

  it("shows no command that is not for people", async () => {
    expect(await help("platform")).not.toMatch(/^ +run\b/m);
    expect(await help("platform", "run")).toContain("--port");
  });

  it("has an alias for every noun", async () => {
    for (const [verb, noun] of [
      ["get", "app"],
      ["get", "secrets"],
      ["get", "api-keys"],
      ["deploy", "app"],
      ["delete", "app"],
    ] as const) {
      expect(await help(verb, noun)).toContain(`Usage: appctl ${verb}`);
    }
  });
});

describe("wrong usage", () => {
  it.each([
    [["depoly", "apps"], 'unknown command "depoly"', 'did you mean "deploy"?'],
    [["deploy", "aps", "app.ts"], 'unknown noun "aps" (expected apps)', 'did you mean "apps"?'],
    [["logs", "aps", "web", "-f"], 'unknown noun "aps" (expected apps)', 'did you mean "apps"?'],
    [["get", "aps"], 'unknown noun "aps" (expected apps, secret or api-key)', 'did you mean "apps"?'],
    [
      ["platform", "statsu", "--help"],
      'unknown noun "statsu" (expected start, stop, upgrade, status, logs or reset)',
      'did you mean "status"?',
    ],
    [["create", "secret", "--nmae", "X"], 'unknown option "--nmae"', 'did you mean "--name"?'],
    [["get", "apps", "--projct", "x"], 'unknown option "--projct"', 'did you mean "--project"?'],
    [["deploy", "a.ts", "--alow-scripts"], 'unknown option "--alow-scripts"', 'did you mean "--allow-scripts"?'],
  ])("%j: says what and the nearest", async (args, message, hint) => {
    const error = await wrong(...args);
    expect([error.message, error.hint]).toEqual([message, hint]);
    expect(error.next.at(-1)).toMatch(/^appctl .*--help$/);
  });

  it("names the whole command for a name without its noun", async () => {
    expect(await wrong("get", "web")).toMatchObject({ next: ["appctl get apps web", "appctl get --help"] });
    expect(await wrong("delete", "web", "--yes")).toMatchObject({
      next: ["appctl delete apps web", "appctl delete --help"],
    });
    expect(await wrong("create", "a b")).toMatchObject({
      next: ["appctl create secret 'a b'", "appctl create --help"],
    });
    expect(await wrong("prune", "x")).toMatchObject({ next: ["appctl prune --help"] });
  });

  it.each([
    [["logs", "web", "--tail", "many"], "--tail"],
    [["logs", "web", "-o", "url"], "-o url is not supported by this command (expected text, json or ndjson)"],
    [["-o", "url", "logs", "web"], "-o url is not supported"],
    [["deploy", "a.ts", "web", "--wait-timeout", "soon"], "--wait-timeout"],
    [["deploy", "--wait-timeout", "soon", "a.ts"], "--wait-timeout"],
    [["start", "web", "--wait-timeout", "soon"], "--wait-timeout"],
    [["stop", "web", "more"], "too many arguments"],
    [["stop", "apps"], "missing argument <name>"],
    [["deploy"], "missing argument <file>"],
  ])("the only noun of a verb may be left out: %j", async (args, message) => {
    expect((await wrong(...args)).message).toContain(message);
  });

  it.each([
    [["deploy", "apps"], "missing argument <file>"],
    [["stop", "apps"], "missing argument <name>"],
    [["stop", "apps", "a", "b"], "too many arguments: 2 (expected at most 1)"],
    [["images", "a, b"], "too many arguments: 1 (expected none)"],
    [["get", "apps", "-o"], "--output needs a value"],
    [["create", "secret", "--name"], "--name needs a value"],
    [["create", "secret"], "missing name of the secret"],
    [["create", "secret", "A", "--name", "B"], "two different names"],
    [["create", "secret", "--name", ""], "empty"],
    [["create", "api-key", "--name", "X"], "missing argument <kind>"],
    [["create", "api-key", "owner", "--name", "X"], 'unknown kind of API key "owner" (expected admin)'],
    [["create"], "needs a noun (secret, admin-api-key or api-key)"],
    [["get", "apps", "-o", "yaml"], "-o yaml is not supported"],
    [["get", "apps", "--color", "blue"], 'unknown --color "blue" (expected auto, always or never)'],
    [["get", "apps", "--port", "70000"], "--port"],
    [["logs", "apps", "web", "--tail", "many"], "--tail"],
    [["logs", "apps", "web", "--since", "yesterday"], "--since"],
    [["logs", "apps", "web", "-f", "-o", "json"], "--follow"],
    [["deploy", "apps", "a.ts", "--wait-timeout", "0"], "--wait-timeout"],
    [["deploy", "apps", "a.ts", "--wait-timeout", "soon"], "--wait-timeout"],
    [["attach", "web", "--deployment", "first"], "--deployment"],
    [["create", "secret", "X", "--scope", "world"], "--scope"],
    [["delete", "apps", "web"], "not deleted: pass --yes"],
  ])("%j: %s", async (args, text) => expect((await wrong(...args)).message).toContain(text));
});
