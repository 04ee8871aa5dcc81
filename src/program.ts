/** The commander tree, made from the table of commands. A command loads its handler when it runs. */
import { type Argument, Command, CommanderError, Option } from "commander";
import { COMMANDS, GROUPS, SHORT_VERBS } from "./commands/command-table.ts";
import type { CommandRow, Flag } from "./commands/shared/command.ts";
import { outputError, wholeNumber } from "./commands/shared/flags.ts";
import type { CommonFlags } from "./commands/shared/global-flags.ts";
import { globalFlags } from "./commands/shared/global-flags.ts";
import { DEPLOY } from "./commands/shared/shared-flags.ts";
import { pathOf, refuseMistypedNoun, throwUsage, withoutHelpOfUnknown } from "./commands/shared/wrong-usage.ts";
import { EXIT_MEANINGS, ExitCode } from "./core/errors.ts";
import { version } from "./core/package-files.ts";
import { SETTINGS, type Setting, settingText } from "./core/settings.ts";
import type { Io, OutputMode } from "./ui/io.ts";

const GLOBAL = "Global options:";

/** Runs one command line (without `node` and the script). Throws whatever the command throws; wrong usage is exit 2. */
export async function runProgram(io: Io, argv: readonly string[]): Promise<void> {
  const args = argv[0] === "help" ? [...argv.slice(1), "--help"] : argv;
  const program = createProgram(io, args[0]);
  if (argv.length === 0) return program.outputHelp();
  refuseMistypedNoun(args);
  try {
    await program.parseAsync(withoutHelpOfUnknown(program, args), { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return; // help or the version was printed
    throw error;
  }
}

/**
 * Every command of appctl; or, when the first word of a command line is one of them, only those that are made with it: all
 * of them take longer than Node takes to start a thread.
 */
export function createProgram(io: Io, first?: string): Command {
  const program = new Command("appctl")
    .description("One TypeScript file with a web app in it, one command, and there is a live, authenticated endpoint.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand(false)
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => undefined, // the process edge prints it
      getOutHelpWidth: () => (io.stdout.isTTY && io.stdout.columns) || 100,
      getErrHelpWidth: () => (io.stderr.isTTY && io.stderr.columns) || 100,
    })
    .configureHelp({
      commandUsage: (command) => `${pathOf(command)} ${command.usage()}`,
      commandDescription: (command) => sentence(command.description()),
      subcommandTerm: (command) => [command.name(), ...command.registeredArguments.map(argumentTerm)].join(" "),
      groupItems: (unsorted, visible, getGroup) => {
        const groups = new Map<string, typeof visible>();
        for (const item of unsorted) if (getGroup(item) !== GLOBAL) groups.set(getGroup(item), []);
        for (const item of visible) groups.set(getGroup(item), [...(groups.get(getGroup(item)) ?? []), item]);
        return groups;
      },
    })
    .addHelpText("after", rootHelp);
  throwUsage(program);
  addGlobalFlags(program, DEPLOY, true);
  const rows = COMMANDS.filter(({ words }) => words === first || words.startsWith(`${first} `));
  for (const row of rows.length > 0 ? rows : COMMANDS) addCommand(program, row, io);
  return program;
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : ".");
const argumentTerm = (argument: Argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`);

/** The end of the root's help. */
function rootHelp(): string {
  const settings = Object.values<Setting>(SETTINGS);
  const width = Math.max(...settings.map(({ variable }) => variable.length));
  const variables = settings.map((setting) => `  ${setting.variable.padEnd(width)}  ${settingText(setting)}`);
  const codes = Object.entries(ExitCode).map(
    ([name, code]) => `  ${String(code).padEnd(width)}  ${EXIT_MEANINGS[name as keyof typeof ExitCode]}`,
  );
  return `
Help of a command: appctl deploy apps --help

Get started:
  $ appctl create secret --name AUTH_API_KEY
  $ appctl create admin-api-key --name MY_APPCTL_API_KEY
  $ appctl deploy apps app.ts fastapi-with-auth

Environment:
${variables.join("\n")}

Exit codes:
${codes.join("\n")}`;
}

const exampleText = (lines: readonly string[]) => `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`;

/** Adds a row to the tree, with the verb before its noun. */
function addCommand(program: Command, row: CommandRow, io: Io): void {
  const [verb = "", noun] = row.words.split(" ");
  const parent = noun === undefined ? program : group(program, verb);
  const isDefault = SHORT_VERBS.includes(verb);
  const command = parent.command(noun ?? verb, { hidden: row.hidden === true, isDefault });
  command.aliases([...(row.aliases ?? [])]).description(row.summary);
  for (const { usage, summary } of row.arguments ?? []) command.argument(usage, summary);
  for (const flag of row.flags ?? []) command.addOption(optionOf(flag));
  command.addHelpText("after", exampleText(row.examples));
  throwUsage(command);
  addGlobalFlags(command, row.outputs);
  command.action(async function (this: Command) {
    const flags = flagsOf(this);
    if (!row.outputs.includes(flags.output)) throw outputError(flags.output, row.outputs);
    const handle = await row.load();
    await handle(io, flags, this.processedArgs as (string | undefined)[]);
  });
}

/** A verb that has nouns, made by the first of them. */
function group(program: Command, verb: string): Command {
  const known = program.commands.find((each) => each.name() === verb);
  if (known) return known;
  const command = program
    .command(verb)
    .description(GROUPS[verb] ?? "")
    .helpCommand(false);
  const nouns = COMMANDS.filter(({ words, hidden }) => words.startsWith(`${verb} `) && !hidden);
  command.addHelpText("after", exampleText(nouns.map(({ examples: [first] }) => first)));
  throwUsage(command);
  addGlobalFlags(command, DEPLOY, true);
  return command;
}

function optionOf({ usage, summary, repeatable, choices, range }: Flag): Option {
  const option = new Option(usage, summary);
  if (choices) option.choices([...choices]);
  if (range) option.argParser((text) => wholeNumber(option.long ?? usage, text, ...range));
  if (repeatable) option.argParser((value: string, all: string[] = []) => [...all, value]);
  return option;
}

/** The flags that every command has. They have no defaults here, since they may also be given before the verb. */
function addGlobalFlags(command: Command, outputs: readonly OutputMode[], hidden = false): void {
  for (const flag of globalFlags(outputs)) command.addOption(optionOf(flag).helpGroup(GLOBAL).hideHelp(hidden));
}

/** The flags of a command, with those before the verb. */
function flagsOf(command: Command): CommonFlags {
  const given: object[] = [];
  for (let each: Command | null = command; each; each = each.parent) given.unshift(each.opts());
  return Object.assign({ output: "text", color: "auto", verbose: false } satisfies CommonFlags, ...given);
}
