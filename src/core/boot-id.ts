import { readFileSync } from "node:fs";

/** Identifies one run of the machine, by whatever its clock says: random(4). Empty where the system does not say. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}
