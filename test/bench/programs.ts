/** The programs that the platform is compared with, and what the kernel says of a process. */
import { accessSync, constants, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** Those of `names` that are not installed, as the reason why something is not measured; undefined when all are there. */
export function missingPrograms(names: readonly string[]): string | undefined {
  const missing = names.filter((name) => !isInstalled(name));
  return missing.length > 0 ? `${missing.join(" and ")} not installed` : undefined;
}

function isInstalled(name: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, name), constants.X_OK);
      return true;
    } catch {
      return false; // not in this folder
    }
  });
}

/** How much of the machine's processors is in use now, by whatever runs: 0 to 1, over a second. */
export async function processorsInUse(): Promise<number> {
  const times = () =>
    cpus().reduce(
      (sum, { times: t }) => ({
        idle: sum.idle + t.idle,
        all: sum.all + t.idle + t.user + t.nice + t.sys + t.irq,
      }),
      { idle: 0, all: 0 },
    );
  const before = times();
  await pause(1000);
  const after = times();
  return 1 - (after.idle - before.idle) / (after.all - before.all);
}

/** Linux counts processor time in hundredths of a second, for every program and whatever its own clock. */
const TICK_MS = 10;

/** Processor time of a process so far, user's and system's, in milliseconds. */
export function processorTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name, which may have anything in it, ends with the last parenthesis; utime and stime are the 14th and 15th field.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** A process and its children, and theirs. */
export function family(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return [pid, ...(children === "" ? [] : children.split(" ").flatMap((child) => family(Number(child))))];
}

/** Memory of a process in MiB: `rss` with every shared page in full, `pss` with its share of each. */
export function memory(pid: number): { rss: number; pss: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]) / 1024;
  return { rss: field("Rss"), pss: field("Pss") };
}
