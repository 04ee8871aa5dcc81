import { delimiter, isAbsolute, join } from "node:path";
import { isExecutable } from "../../../core/is-executable.ts";

/** Of util-linux, see setpriv(1): it asks the kernel for a signal at the end of its parent, and becomes the program. */
const SETPRIV = "/usr/bin/setpriv";

/**
 * A program that ends with the process that starts it, however that one ends; where the machine cannot do so, the program as it is.
 * One that cannot be executed stays as it is, too: the system says why.
 */
export function endingWithParent(
  { program, args }: { program: string; args: string[] },
  { cwd, path }: { cwd: string; path: string },
): { program: string; args: string[] } {
  const places = program.includes("/") ? [isAbsolute(program) ? program : join(cwd, program)] : inPath(program, path);
  if (!places.some(isExecutable) || !isExecutable(SETPRIV)) return { program, args };
  return { program: SETPRIV, args: ["--pdeathsig", "KILL", "--", program, ...args] };
}

function inPath(program: string, path: string): string[] {
  return path.split(delimiter).map((dir) => join(dir, program));
}
