import { readFileSync } from "node:fs";

/**
 * Time at which a process started, in clock ticks since boot: field 22 of stat, see proc(5). With the number of a process it names
 * one for good. Undefined for a dead one or a zombie.
 */
export function startTimeOf(pid: number): number | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined; // it has ended
  }
  // The command's name is in parentheses and may itself have spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  // fields[0] is field 3 of the manual, the state
  return fields[0] === "Z" || fields[0] === "X" ? undefined : Number(fields[19]);
}
