/** The README's few lines about speed, from the table that the bench writes. */

/** Rows of the bench that the README shows: what is measured, and the floor or peer that it is compared with. */
const SHOWN: readonly (readonly [what: string, peer: string])[] = [
  ["`appctl --version`", "`node -e 0`"],
  ["one line changed: `appctl deploy apps`, to the proof at the public address", "the bundled app's own start"],
  ["nothing changed: `appctl deploy apps`", "`node -e 0`"],
  ["the gateway's requests a second on one core, 1 KiB bodies", "nginx"],
  ["the platform's memory on top of 50 running apps' own (RSS: what it shares with them counts in full)", ""],
];

/** A Markdown table of {@link SHOWN}. `benchmarks` is the page that the bench writes; throws when it lacks a row. */
export function performanceTable(benchmarks: string): string {
  const rows = benchmarks
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) => line.slice(2, -2).split(" | "));
  const shown = SHOWN.map(([name, peer]) => {
    const row = rows.find(([what, , floor = ""]) => what === name && floor.startsWith(peer));
    if (!row) throw new Error(`docs/benchmarks.md has no row "${name}"`);
    return row.slice(0, 4);
  });
  return [["what", "measured", "floor or peer", "ratio"], ["---", "---", "---", "---"], ...shown]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}
