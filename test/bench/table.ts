/** The bench's part of docs/benchmarks.md: a table with a row for each target, and why one is not reached where that is so. */
import type { Figure, Measured, Missing, Outcome, Row, Target } from "./figure.ts";

/** Results of a run, by the figures' names. */
export interface Results {
  /** Where and when, in one plain line. */
  machine: string;
  figures: Record<string, Outcome>;
  /** How much of the processors other programs used as each figure began, 0 to 1. */
  inUse: Record<string, number>;
}

/** Above this use by other programs a figure is not to be believed. */
export const QUIET = 0.1;

/** A number with the digits that count: three, and no more than two after the point. */
export function digits(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

/** True when `measured` keeps `target`. */
export function reached(target: Target, measured: Measured): boolean {
  const value = target.of === "ratio" ? measured.ratio : measured.value;
  if (value === undefined) throw new Error("a target of a ratio that was not measured");
  return "atMost" in target ? value <= target.atMost : value >= target.atLeast;
}

function targetText({ target, unit }: Row): string {
  if (!target) return "";
  const limit = "atMost" in target ? `≤ ${target.atMost}` : `≥ ${target.atLeast}`;
  return `${limit} ${target.of === "ratio" ? "×" : unit}`;
}

function line(row: Row, result: Measured | Missing): string[] {
  const { what, against = "", unit, target } = row;
  if ("missing" in result) return [what, `not measured: ${result.missing}`, against, "", targetText(row), ""];
  const floor = result.against === undefined ? "" : `: ${digits(result.against)} ${unit}`;
  return [
    what,
    `${digits(result.value)} ${unit}`,
    `${against}${floor}`,
    result.ratio === undefined ? "" : digits(result.ratio),
    targetText(row),
    target ? (reached(target, result) ? "yes" : "no") : "",
  ];
}

const tableOf = (head: string[], lines: string[][]) =>
  [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

/** The part as Markdown. Throws when a row has no result. */
export function benchPart(figures: readonly Figure[], results: Results): string {
  const lines: string[][] = [];
  const reasons: string[] = [];
  const details: string[] = [];
  for (const figure of figures) {
    const outcome = results.figures[figure.name];
    for (const [name, row] of Object.entries(figure.rows)) {
      const result = outcome?.rows[name];
      if (!result) throw new Error(`no result for ${figure.name}: ${name}`);
      lines.push(line(row, result));
      if ("missing" in result || !row.target || reached(row.target, result)) continue;
      const beside = row.against === undefined ? "" : `, next to ${row.against}`;
      // What is known of a quiet machine need not be what it was this time.
      const busy = (results.inUse[figure.name] ?? 0) > QUIET ? "; or the other programs that ran meanwhile" : "";
      reasons.push(`- Not reached: ${row.what}${beside}. Why: ${row.missed ?? "not known yet"}${busy}.`);
    }
    for (const { title, head, lines: rest } of outcome?.details ?? [])
      details.push(`${title}:\n\n${tableOf(head, rest)}`);
  }
  const noisy = figures
    .map(({ name }) => ({ name, inUse: results.inUse[name] ?? 0 }))
    .filter(({ inUse }) => inUse > QUIET)
    .map(({ name, inUse }) => `\`${name}\` while they used ${Math.round(inUse * 100)} % of the processors`);
  const machine =
    noisy.length > 0
      ? `${results.machine} Other programs ran meanwhile, so these are worth less: ${noisy.join(", ")}.`
      : results.machine;
  return [
    machine,
    tableOf(["what", "measured", "floor or peer", "ratio", "target", "reached"], lines),
    ...(reasons.length > 0 ? [reasons.join("\n")] : []),
    ...details,
  ].join("\n\n");
}

const PART = /(<!-- bench -->\n)[\s\S]*?(\n<!-- end of bench -->)/;

/** The bench's part of a page; undefined when it has none. */
export function partOf(page: string): string | undefined {
  const found = PART.exec(page);
  return found ? found[0].slice(found[1]?.length, -(found[2]?.length ?? 0)) : undefined;
}

/** A page with its bench part replaced. */
export function withBench(page: string, part: string): string {
  if (!PART.test(page)) throw new Error("the page has no part bench");
  return page.replace(PART, (_, start: string, end: string) => `${start}${part}${end}`);
}
