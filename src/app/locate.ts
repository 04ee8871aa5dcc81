/**
 * Finds where in the user's files something is declared, by looking at their text. It serves messages only: where it
 * finds nothing, the message goes without a line.
 */
import { readFileSync } from "node:fs";
import { displayPath } from "../bundle/display-path.ts";
import type { SourceLocation } from "../core/errors.ts";

/** A first-party source file. `file` is as the user would type it. */
export interface SourceText {
  file: string;
  text: string;
}

/** Reads the first-party code among `paths` (absolute), the entry first. */
export function readSources(paths: readonly string[], cwd: string): SourceText[] {
  const sources: SourceText[] = [];
  for (const path of paths) {
    if (path.includes("/node_modules/") || !/\.[cm]?[jt]sx?$/.test(path)) continue;
    try {
      sources.push({ file: displayPath(path, cwd), text: readFileSync(path, "utf8") });
    } catch {
      // Gone since it was bundled: its messages go without a line.
    }
  }
  return sources;
}

/** The place of the character at `offset`. */
export function locationAt({ file, text }: SourceText, offset: number): SourceLocation {
  const start = text.lastIndexOf("\n", offset - 1) + 1;
  const end = text.indexOf("\n", offset);
  const lineText = text.slice(start, end < 0 ? text.length : end).replace(/\r$/, "");
  const line = text.slice(0, start).split("\n").length;
  return { file, line, column: offset - start + 1, lineText };
}

/** A `new App(` in a source: from `start` to the end of its parentheses. `name` is missing when it is no plain text. */
export interface Declaration {
  source: SourceText;
  start: number;
  end: number;
  name?: string;
}

/** Every `new App(…)` of `sources`, in order. */
export function declarations(sources: readonly SourceText[]): Declaration[] {
  return sources.flatMap((source) =>
    [...source.text.matchAll(/\bnew\s+App\s*\(/g)].map(({ index }): Declaration => {
      const end = closing(source.text, source.text.indexOf("(", index));
      const name = /[{,\s]name\s*:\s*(["'`])([^"'`\n]*)\1/.exec(source.text.slice(index, end))?.[2];
      return name === undefined ? { source, start: index, end } : { source, start: index, end, name };
    }),
  );
}

/** Where the option that `path` begins with (`secrets[0].key` → `secrets`) stands in a declaration; else its `new App`. */
export function locateOption({ source, start, end }: Declaration, path: string): SourceLocation {
  const key = /^\w+/.exec(path)?.[0];
  const match = key ? new RegExp(`[{,\\s](${key})\\s*[:,}]`).exec(source.text.slice(start, end)) : null;
  return locationAt(source, match ? start + match.index + 1 : start);
}

/** Index after the parenthesis that closes the one at `open`. Strings, templates and comments are stepped over. */
function closing(text: string, open: number): number {
  let depth = 0;
  const token = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|(["'`])(?:\\[\s\S]|(?!\1)[^\\])*\1|[()]/g;
  token.lastIndex = open;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    if (match[0] === "(") depth++;
    else if (match[0] === ")" && --depth === 0) return token.lastIndex;
  }
  return text.length;
}
