/** The file by which a command tells the supervisor which program takes over. Only its user can write it. */
import { readFileSync } from "node:fs";

/** The program that a file names. Throws when it names none. */
export function programIn(file: string): string {
  const { program } = JSON.parse(readFileSync(file, "utf8")) as { program?: unknown };
  if (typeof program !== "string" || !program.startsWith("/")) throw new Error(`${file} names no program`);
  return program;
}
