import { stripVTControlCharacters } from "node:util";
import { cutToWidth, displayWidth, plainLine } from "./plain-text.ts";
import { PLAIN, type Style } from "./style.ts";

/** One column of a table. */
export interface Column<Row> {
  title: string;
  value(row: Row): string;
  /** Shown instead of the value when the table is wider than the terminal. */
  short?(row: Row): string;
  /** Left out when the table is wider than the terminal. */
  spare?: true;
  /** May be cut with `…` when the table is wider than the terminal; `min` columns of it stay. */
  min?: number;
  /** Colours a cell that has already been padded. */
  paint?(text: string, row: Row): string;
}

const GAP = "  ";

/**
 * A table as lines, columns two spaces apart. `width` is the terminal's; without one (a pipe, a file) it is whole. A table
 * that is wider than the terminal leaves out spare columns, then shortens others; one that is wider still becomes a block of
 * lines for each row.
 */
export function tableLines<Row>(columns: Column<Row>[], rows: Row[], width?: number, style: Style = PLAIN): string[] {
  if (width === undefined) return wholeLines(columns, rows, style);
  const needed = columns.filter(({ spare }) => !spare);
  const short = needed.map((column) => ({ ...column, value: column.short ?? column.value }));
  for (const [fewer, cutTo] of [[columns], [needed], [short], [short, width]] as const) {
    const lines = wholeLines(fewer, rows, style, cutTo);
    if (lines.every((line) => displayWidth(stripVTControlCharacters(line)) <= width)) return lines;
  }
  const blocks = rows.map((row) =>
    fieldLines(
      columns.map((column): [string, string] => [column.title, column.value(row)]),
      style,
    ),
  );
  return blocks.flatMap((lines, index) => (index === 0 ? lines : ["", ...lines]));
}

function wholeLines<Row>(columns: Column<Row>[], rows: Row[], style: Style, width?: number): string[] {
  const cells = rows.map((row) => columns.map((column) => plainLine(column.value(row))));
  const widths = columns.map((column, index) =>
    Math.max(displayWidth(column.title), ...cells.map((line) => displayWidth(line[index] ?? ""))),
  );
  if (width !== undefined) shrink(columns, widths, width);
  const line = (texts: string[], paint: (padded: string, index: number) => string) =>
    texts
      .map((text, index) => {
        const room = widths[index] ?? 0;
        const cut = cutToWidth(text, room);
        const isLast = index === columns.length - 1;
        return paint(cut, index) + (isLast ? "" : " ".repeat(room - displayWidth(cut)) + GAP);
      })
      .join("")
      .trimEnd();
  return [
    line(
      columns.map((column) => column.title),
      (text) => style.bold(text),
    ),
    ...cells.map((texts, row) => line(texts, (text, index) => columns[index]?.paint?.(text, rows[row] as Row) ?? text)),
  ];
}

/** Takes columns' width away where they allow it, the widest first. */
function shrink<Row>(columns: Column<Row>[], widths: number[], width: number): void {
  const total = () => widths.reduce((sum, each) => sum + each, 0) + GAP.length * (widths.length - 1);
  while (total() > width) {
    let widest = -1;
    columns.forEach((column, index) => {
      const each = widths[index] ?? 0;
      if (column.min !== undefined && each > column.min && each > (widths[widest] ?? 0)) widest = index;
    });
    if (widest < 0) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
}

/** `name: value` lines with the values below each other; entries whose value is undefined or empty are left out. */
export function fieldLines(fields: [name: string, value: string | undefined][], style: Style = PLAIN): string[] {
  const shown = fields.filter(([, value]) => value !== undefined && value !== "");
  const room = Math.max(0, ...shown.map(([name]) => name.length)) + 1;
  return shown.map(([name, value]) => `${style.dim(`${name}:`.padEnd(room))} ${plainLine(value ?? "")}`);
}
