import type { Io } from "../../ui/io.ts";
import { styleOf } from "../../ui/style.ts";
import { type Column, tableLines } from "../../ui/table.ts";
import type { CommonFlags } from "./global-flags.ts";

/** Prints the one JSON object of `-o json`. */
export function printJson(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Prints `value` as JSON with `-o json`, else `sentence` on stdout. */
export function printResult(io: Io, flags: CommonFlags, value: unknown, sentence: string): void {
  if (flags.output === "json") printJson(io, value);
  else io.stdout.write(`${sentence}\n`);
}

/** Prints a list: a table on stdout, or on stderr a sentence that says what to type when the list is empty. */
export async function printList<Row>(
  io: Io,
  flags: CommonFlags,
  columns: Column<Row>[],
  rows: Row[],
  ifEmpty: string,
): Promise<void> {
  if (rows.length === 0) {
    io.stderr.write(`${ifEmpty}\n`);
    return;
  }
  const style = await styleOf(io.stdout, io.env, flags.color);
  io.stdout.write(`${tableLines(columns, rows, widthOf(io), style).join("\n")}\n`);
}

/** Columns of the terminal on stdout; undefined for a pipe or a file. */
export function widthOf(io: Io): number | undefined {
  return io.stdout.isTTY ? io.stdout.columns : undefined;
}

/** The place that a sentence speaks of: `project default, domain development`. */
export function placeText(scope: { project: string; domain: string }): string {
  return `project ${scope.project}, domain ${scope.domain}`;
}
