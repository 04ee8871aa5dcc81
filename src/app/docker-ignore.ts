import { readFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { usageError } from "../core/errors.ts";

/** One line of a `.dockerignore`. */
interface Rule {
  pattern: RegExp;
  /** It began with `!`: what it matches is taken after all. */
  takes: boolean;
}

/**
 * Reads the `.dockerignore` in `root`, an absolute directory, and tells of a path (relative to it, with `/`) whether the file
 * is left out. Without such a file nothing is. Throws `INVALID_DOCKERIGNORE` for a file that cannot be read or a line that is
 * no pattern.
 */
export async function readDockerIgnore(root: string): Promise<(path: string) => boolean> {
  const file = join(root, ".dockerignore");
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw usageError(`${file} cannot be read: ${error.message}`, { code: "INVALID_DOCKERIGNORE", cause: error });
  });
  return dockerIgnore(text, file);
}

/**
 * The rules of a `.dockerignore` as a function. They are Docker's own (moby/patternmatcher): the last pattern that matches a
 * path or one of its folders decides, `*` and `?` stop at a `/`, `**` does not, `#` begins a comment. `file` is for messages.
 */
export function dockerIgnore(text: string, file = ".dockerignore"): (path: string) => boolean {
  const rules: Rule[] = [];
  const faults: { path: string; message: string }[] = [];
  for (const [index, line] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    if (line.startsWith("#") || line.trim() === "") continue;
    const takes = line.trim().startsWith("!");
    const written = takes ? line.trim().slice(1).trim() : line.trim();
    const plain = posix.normalize(written).replace(/^\/+|\/+$/g, "");
    try {
      if (written === "") throw new SyntaxError("there is no pattern after the !");
      // To Docker "." is the whole folder, too, and matches nothing in it.
      if (plain !== "" && plain !== ".") rules.push({ pattern: new RegExp(expression(plain), "u"), takes });
    } catch {
      faults.push({ path: `${file}:${index + 1}`, message: `${JSON.stringify(line)} is not a pattern` });
    }
  }
  if (faults.length > 0) throw usageError(`${file} is not valid`, { code: "INVALID_DOCKERIGNORE", faults });
  return (path) => {
    const parts = path.split("/");
    const places = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
    let ignored = false;
    for (const { pattern, takes } of rules) {
      if (takes === ignored && places.some((place) => pattern.test(place))) ignored = !takes;
    }
    return ignored;
  };
}

/** The regular expression of a pattern of Go's filepath.Match with `**`. */
function expression(pattern: string): string {
  let text = "";
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    if (char === "*" && pattern[at + 1] === "*") {
      at++;
      if (pattern[at + 1] === "/") at++;
      text += at + 1 >= pattern.length ? ".*" : "(?:.*/)?";
    } else if (char === "*") text += "[^/]*";
    else if (char === "?") text += "[^/]";
    else if (char === "\\") text += escaped(pattern[++at] ?? "");
    else if (char === "[") {
      const end = pattern.indexOf("]", at + 2);
      if (end < 0) throw new SyntaxError("a [ has no ]");
      text += `[${pattern.slice(at + 1, end).replace(/[\\[]/g, "\\$&")}]`;
      at = end;
    } else text += escaped(char);
  }
  return `^${text}$`;
}

function escaped(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
}
