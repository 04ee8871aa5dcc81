/** A command line that is none: what commander says of it, in the words of appctl's own errors. */
import type { Command } from "commander";
import { usageError } from "../../core/errors.ts";

/** Turns commander's own errors into usage errors; they carry the nearest name where there is one. */
export function throwUsage(command: Command): void {
  command.exitOverride((error) => {
    if (error.exitCode === 0) throw error;
    const help = `${pathOf(command)} --help`;
    if (error.code === "commander.help") {
      const nouns = command.commands.map((each) => each.name()).join(", ");
      throw usageError(`${pathOf(command)} what? It takes ${nouns}`);
    }
    const text = error.message.replace(/^error: /, "");
    const [, message = text, guess] = /^([\s\S]*?)\s*\(Did you mean ([\s\S]*?)\?\)$/.exec(text) ?? [];
    if (guess) throw usageError(message, { hint: `did you mean ${names(command, guess)}?`, next: [help] });
    // `appctl logs web`: with one noun, the word can only be what comes after it.
    const word = /^unknown command '([\w-]+)'$/.exec(message)?.[1];
    const [noun, ...others] = command.commands;
    const meant = word && noun && others.length === 0 ? [`${pathOf(noun)} ${word}`] : [];
    throw usageError(message, { next: [...meant, help] });
  });
}

/** commander guesses a name and its alias alike; the name is enough. */
function names(command: Command, guess: string): string {
  const guesses = guess.replace(/^one of /, "").split(", ");
  const own = guesses.map((each) => command.commands.find((noun) => noun.aliases().includes(each))?.name() ?? each);
  return [...new Set(own)].join(" or ");
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
    if (!next) return args.slice(0, index + 1);
    command = next;
  }
  return [...args];
}
