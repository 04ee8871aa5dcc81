/** A command line that is none: what commander says of it, in the words of appctl's own errors. */
import type { Command } from "commander";
import { nearest } from "../../app/nearest.ts";
import { orList } from "../../contract/check-option.ts";
import { quoted } from "../../core/command-line.ts";
import { usageError } from "../../core/errors.ts";
import { COMMANDS, SHORT_VERBS } from "../command-table.ts";

/** Turns commander's own errors into usage errors; they carry the nearest name where there is one. */
export function throwUsage(command: Command): void {
  command.exitOverride((error) => {
    if (error.exitCode === 0) throw error;
    const help = `${pathOf(command)} --help`;
    const nouns = command
      .createHelp()
      .visibleCommands(command)
      .map((each) => each.name());
    if (error.code === "commander.help")
      throw usageError(`${pathOf(command)} needs a noun (${orList(nouns)})`, { next: [help] });
    const text = error.message.replace(/^error: /, "");
    const [, message = text, guess] = /^([\s\S]*?)\s*\(Did you mean ([\s\S]*?)\?\)$/.exec(text) ?? [];
    const word = /^unknown command '([\s\S]*)'$/.exec(message)?.[1];
    const said = word === undefined ? worded(message) : unknownWord(command, word, nouns);
    if (guess) throw usageError(said, { hint: `did you mean ${names(command, guess)}?`, next: [help] });
    // `appctl get web`: the word can be the name of what the first noun is about.
    const noun = command.commands.find((each) =>
      each.registeredArguments.some((argument) => argument.name() === "name"),
    );
    const meant = command.parent && word && noun ? [`${pathOf(noun)} ${quoted(word)}`] : [];
    throw usageError(said, { next: [...meant, help] });
  });
}

function unknownWord(command: Command, word: string, nouns: string[]): string {
  const expected = command.parent ? ` (expected ${orList(nouns)})` : "";
  return `unknown ${command.parent ? "noun" : "command"} "${word}"${expected}`;
}

/**
 * Refuses `appctl deploy aps app.ts`: a mistyped noun where the noun may be left out would be taken for the argument. Only a
 * plain word with another argument behind it can be one.
 */
export function refuseMistypedNoun(args: readonly string[]): void {
  const [verb = "", word = "", next = "-"] = args;
  const row = SHORT_VERBS.includes(verb) && COMMANDS.find(({ words }) => words.startsWith(`${verb} `));
  if (!row || !/^[a-z-]+$/.test(word) || word.startsWith("-") || next.startsWith("-")) return;
  const noun = row.words.slice(verb.length + 1);
  const nouns = [noun, ...(row.aliases ?? [])];
  if (nouns.includes(word) || nearest(word, nouns) === undefined) return;
  throw usageError(`unknown noun "${word}" (expected ${noun})`, {
    hint: `did you mean "${noun}"?`,
    next: [["appctl", row.words, ...args.slice(2).map(quoted)].join(" "), `appctl ${row.words} --help`],
  });
}

/** What commander says, in appctl's words. */
function worded(message: string): string {
  return message
    .replace(/^missing required argument '(.+)'$/, "missing argument <$1>")
    .replace(/^unknown option '(.+)'$/, 'unknown option "$1"')
    .replace(/^option '(?:-\w, )?(--[\w-]+).*' argument missing$/, "$1 needs a value")
    .replace(
      /^option '(?:-\w, )?(--[\w-]+).*' argument '([\s\S]*)' is invalid\. Allowed choices are (.+)\.$/,
      (_, flag, value, choices) => `unknown ${flag} "${value}" (expected ${orList(choices.split(", "))})`,
    )
    .replace(
      /^too many arguments.*\. Expected (\d+) arguments? but got (\d+): [\s\S]*$/,
      (_, most, given) => `too many arguments: ${given} (expected ${most === "0" ? "none" : `at most ${most}`})`,
    );
}

/** commander guesses a name and its alias alike; the name is enough. */
function names(command: Command, guess: string): string {
  const guesses = guess.replace(/^one of /, "").split(", ");
  const known = guesses.map((each) => command.commands.find((noun) => noun.aliases().includes(each))?.name() ?? each);
  return orList([...new Set(known)].map((name) => `"${name}"`));
}

/** The words that lead to a command: `appctl get apps`. */
export function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

/** `appctl depoly --help` is a mistyped command, not a question about appctl. */
export function withoutHelpOfUnknown(program: Command, args: readonly string[]): string[] {
  let command = program;
  for (const [index, word] of args.entries()) {
    if (word.startsWith("-") || command.commands.length === 0) break;
    const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
    if (!next && SHORT_VERBS.includes(command.name())) break;
    if (!next) return args.slice(0, index + 1);
    command = next;
  }
  return [...args];
}
