import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { SourceLocation } from "../core/errors.ts";
import { displayWidth, plainLine } from "./plain-text.ts";
import type { Style } from "./style.ts";

/** Longest piece of a source line that is shown, in columns; minified lines would fill the screen. */
const MAX_WIDTH = 100;

/**
 * Where a fault lies in the user's file, as lines: `--> file:line:column`, then the line with a caret below the column.
 * The frame is left out when the line cannot be read.
 */
export function codeFrame(location: SourceLocation, cwd: string, style: Style): string[] {
  const arrow = `${style.cyan("-->")} ${plainLine(location.file)}:${location.line}:${location.column}`;
  const source = location.lineText ?? lineOf(resolve(cwd, location.file), location.line);
  const gutter = " ".repeat(String(location.line).length);
  if (source === undefined || source.trim() === "") return [`${gutter}${arrow}`];
  const { text, caret } = excerpt(source, location.column);
  const bar = style.cyan("|");
  return [
    `${gutter}${arrow}`,
    `${gutter} ${bar}`,
    `${style.cyan(String(location.line))} ${bar} ${text}`,
    `${gutter} ${bar} ${" ".repeat(caret)}${style.red("^")}`,
  ];
}

/** The part of a line around `column` (from 1), and how many columns before the caret. */
function excerpt(source: string, column: number): { text: string; caret: number } {
  const index = Math.min(Math.max(column - 1, 0), source.length);
  const start = index > MAX_WIDTH - 20 ? index - 40 : 0;
  const before = (start > 0 ? "…" : "") + shown(source.slice(start, index));
  const after = shown(source.slice(index, start + MAX_WIDTH));
  const end = start + MAX_WIDTH < source.length ? "…" : "";
  return { text: before + after + end, caret: displayWidth(before) };
}

/** Tabs have no fixed width; two spaces keep the caret below its character. */
function shown(text: string): string {
  return plainLine(text).replaceAll("\t", "  ");
}

function lineOf(file: string, line: number): string | undefined {
  try {
    return readFileSync(file, "utf8").split(/\r?\n/)[line - 1];
  } catch {
    return undefined; // gone, or not readable: the place alone still says enough
  }
}
