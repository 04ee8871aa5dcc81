import { parseDuration } from "../../app/duration.ts";
import { orList } from "../../contract/check-option.ts";
import { type AppctlError, usageError } from "../../core/errors.ts";

export { commandLine } from "../../core/command-line.ts";

/** Reads a duration flag as milliseconds: `10m`, `90s`, `500ms`; a bare number is seconds. */
export function milliseconds(flag: string, text: string): number {
  const seconds = parseDuration(text);
  if (seconds === undefined || seconds <= 0) {
    throw usageError(`${flag} "${text}" is not a duration`, {
      hint: "use a number with a unit, such as 500ms, 90s, 10m or 1h (without a unit: seconds)",
    });
  }
  return seconds * 1000;
}

/** Reads a flag that is a whole number from `min` to `max`. */
export function wholeNumber(flag: string, text: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw usageError(`${flag} "${text}" is not a whole number from ${min} to ${max}`);
  }
  return value;
}

/** The one name that a command is about: its argument or `--name`. */
export function nameOf(what: string, argument: string | undefined, flag: string | undefined): string {
  const name = optionalNameOf(argument, flag);
  if (name === undefined) throw usageError(`missing name of the ${what}`, { hint: "pass it as --name NAME" });
  return name;
}

/** {@link nameOf} where the name may be left out. */
export function optionalNameOf(argument: string | undefined, flag: string | undefined): string | undefined {
  if (argument !== undefined && flag !== undefined && argument !== flag) {
    throw usageError(`two different names: ${argument} and --name ${flag}`);
  }
  const name = argument ?? flag;
  if (name === "") throw usageError("the name is empty");
  return name;
}

/** The error for an output mode that a command does not have. */
export function outputError(output: string, modes: readonly string[]): AppctlError {
  return usageError(`-o ${output} is not supported by this command (expected ${orList(modes)})`);
}
