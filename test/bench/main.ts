/** `npm run bench`: runs the figures, keeps their results and writes the tables of docs/benchmarks.md. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Setting } from "./figure.ts";
import { figures } from "./figures.ts";
import { repository } from "./process-time.ts";
import { processorsInUse } from "./programs.ts";
import { benchPart, digits, QUIET, type Results, withBench } from "./table.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    quick: { type: "boolean", default: false },
  },
});
const known = figures.map(({ name }) => name);
const unknown = values.only?.filter((name) => !known.includes(name)) ?? [];
if (unknown.length > 0) {
  console.error(`Error: no figure ${unknown.join(", ")}; there are ${known.join(", ")}`);
  process.exit(2);
}

const setting: Setting = {
  quick: values.quick,
  rounds: (full) => (values.quick ? Math.min(full, 3) : full),
  say: (text) => console.log(`  ${text}`),
};
// Figures that were measured before stay, so that one can be measured again by itself.
const resultFile = join(repository, "test", "bench", "result.json");
const results: Results = existsSync(resultFile)
  ? JSON.parse(readFileSync(resultFile, "utf8"))
  : { figures: {}, inUse: {} };
results.machine = machine();

for (const figure of figures) {
  if (values.only && !values.only.includes(figure.name)) continue;
  console.log(figure.name);
  const inUse = await processorsInUse();
  if (inUse > QUIET)
    setting.say(`Other programs use ${Math.round(inUse * 100)} % of the processors: do not believe too much.`);
  const outcome = await figure.measure(setting);
  for (const [name, row] of Object.entries(figure.rows)) {
    const result = outcome.rows[name];
    if (!result) throw new Error(`${figure.name} has no result for ${name}`);
    if ("missing" in result) setting.say(`${row.what}: not measured, ${result.missing}`);
    else {
      const { value, against, ratio } = result;
      const floor =
        against === undefined ? "" : ` / ${row.against} ${digits(against)} ${row.unit} = ${digits(ratio ?? 0)}`;
      setting.say(`${row.what}: ${digits(value)} ${row.unit}${floor}`);
    }
  }
  for (const { title, head, lines } of outcome.details ?? []) {
    setting.say(`${title}:`);
    for (const cells of [head, ...lines]) setting.say(`  ${cells.join(" | ")}`);
  }
  results.figures[figure.name] = outcome;
  results.inUse[figure.name] = inUse;
  if (!values.quick) writeFileSync(resultFile, `${JSON.stringify(results, null, 2)}\n`);
}

const lacking = known.filter((name) => !results.figures[name]);
if (values.quick) console.log("Quick: nothing is written.");
else if (lacking.length > 0)
  console.log(`docs/benchmarks.md is left as it is until these have been measured, too: ${lacking.join(", ")}`);
else {
  const page = join(repository, "docs", "benchmarks.md");
  writeFileSync(page, withBench(readFileSync(page, "utf8"), benchPart(figures, results)));
  console.log("Wrote docs/benchmarks.md.");
  // The README shows some of its rows.
  execFileSync(process.execPath, [join(repository, "bin", "generate.ts")], { stdio: "inherit" });
}

/** Cores, model, Node, day. */
function machine(): string {
  const model = cpus()[0]?.model.replace(/\s+/g, " ").trim() || "unknown model";
  const day = new Date().toISOString().slice(0, 10);
  return `Measured on ${availableParallelism()} cores (${model}) with Node ${process.versions.node} on ${day}.`;
}
