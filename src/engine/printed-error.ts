/**
 * Reads what Node prints about an uncaught error: `util.inspect` of the error, after an excerpt of the source when the
 * error left the program. Frames are already mapped to the user's files by `--enable-source-maps`.
 */
import { dirname } from "node:path";
import type { FailureCause } from "../contract/types.ts";

/** An error found in a program's output. */
export interface PrintedError {
  /** The error's own first line, for example `TypeError: x is not a function`. */
  headline: string;
  /** The error and its frames, with paths relative to the content. */
  stack: string[];
  /** First frame in the user's own code. */
  location?: NonNullable<FailureCause["location"]>;
}

const FRAME = /^ {4}(?:at |\.{3} \d+ lines matching cause stack trace)/;
/** Node's second list of frames, below the error of an emitter that nobody listened to. */
const EMITTED = /^Emitted '.+' event .*at:$/;
/** What says nothing to the app's author: how Node and the server shim got to the app. */
const FOREIGN_FRAME = /^ {4}(?:at .*(?:\bserve\.mjs:\d+:\d+|node:internal\/(?:modules|process)\/.*)\)?$|\.{3} )/;
const HEADLINE = /^(?:Uncaught )?[A-Za-z_$][\w$.]*(?: \[[^\]]+\])?(?::|$| \{)/;
const ERROR_NAME = /^(?:Uncaught )?[\w$.]*(?:Error|Exception)\b/;
/** How many folders above the entry's own a first-party file may lie. */
const FARTHEST_UP = 3;
/** Farthest that an error's message may reach above its first frame, in lines. */
const LONGEST_MESSAGE = 40;

/** The last error in `lines`; `roots` are absolute directories to cut from the front of paths. */
export function findPrintedError(lines: readonly string[], roots: readonly string[]): PrintedError | undefined {
  const cleaned = lines.map((line) => cleanPaths(line, roots));
  const firstFrame = cleaned.findLastIndex((line, at) => {
    const above = cleaned[at - 1] ?? "";
    return FRAME.test(line) && !FRAME.test(above) && !EMITTED.test(above);
  });
  const uncaught = cleaned.findLastIndex((line) => /^Uncaught[ :]/.test(line));
  if (firstFrame < 1 || uncaught > firstFrame) return uncaughtValue(cleaned, uncaught);
  const head = headlineAbove(cleaned, firstFrame);
  let end = firstFrame;
  while (FRAME.test(cleaned[end] ?? "")) end++;
  const stack = cleaned
    .slice(head, end)
    .map((line) => line.replace(/ \{$/, ""))
    .filter((line) => !FOREIGN_FRAME.test(line));
  const location =
    stack.map(locationOf).find((found) => found !== undefined) ?? excerptLocation(cleaned.slice(0, head));
  return {
    headline: (stack[0] ?? "").replace(/^Uncaught /, "").trim(),
    stack,
    ...(location ? { location } : {}),
  };
}

/** A thrown value that is no error: it has no stack. */
function uncaughtValue(lines: readonly string[], at: number): PrintedError | undefined {
  const line = lines[at];
  if (line === undefined) return undefined;
  const value = line === "Uncaught:" ? (lines[at + 1] ?? "") : line.replace(/^Uncaught:? */, "");
  return { headline: `Uncaught ${value}`, stack: [] };
}

/** Index of the error's first line. A line such as `TypeError: …` wins over one that only looks like a name. */
function headlineAbove(lines: readonly string[], firstFrame: number): number {
  const lowest = Math.max(0, firstFrame - LONGEST_MESSAGE);
  let candidate: number | undefined;
  for (let at = firstFrame - 1; at >= lowest; at--) {
    const line = lines[at] ?? "";
    if (ERROR_NAME.test(line)) return at;
    if (FRAME.test(line)) break;
    if (candidate === undefined && HEADLINE.test(line)) candidate = at;
  }
  return candidate ?? firstFrame - 1;
}

/**
 * Shortens installed packages to `node_modules/…` and cuts the content's directory off. A source map's `../lib/db.ts`, a
 * file beside the entry's own folder, has become a path beside the content: it is turned back.
 */
function cleanPaths(line: string, roots: readonly string[]): string {
  let text = line.replace(/(?:file:\/\/)?\/[^\s()]*\/(node_modules\/)/g, "$1");
  for (const root of roots) {
    let dir = root;
    for (let up = 0; up <= FARTHEST_UP && dir !== "/"; up++, dir = dirname(dir)) {
      text = text.replaceAll(`file://${dir}/`, "../".repeat(up));
      text = text.replaceAll(`(${dir}/`, `(${"../".repeat(up)}`).replaceAll(` ${dir}/`, ` ${"../".repeat(up)}`);
      if (text.startsWith(`${dir}/`)) text = "../".repeat(up) + text.slice(dir.length + 1);
    }
  }
  return text;
}

function locationOf(frame: string): PrintedError["location"] {
  if (!FRAME.test(frame)) return undefined;
  const match = /(?:\(|at (?:async )?)((?:file:\/\/)?[^()]+?):(\d+):(\d+)\)?$/.exec(frame);
  return match ? firstParty(match[1] ?? "", Number(match[2]), Number(match[3])) : undefined;
}

/** The place of a syntax error stands above the error: `file:3`, the line's text, a caret below the fault. */
function excerptLocation(above: readonly string[]): PrintedError["location"] {
  const at = above.findLastIndex((line) => /^\S+:\d+$/.test(line));
  const match = /^(\S+):(\d+)$/.exec(above[at] ?? "");
  if (!match) return undefined;
  const caret = above.slice(at + 1).find((line) => /^\s*\^+\s*$/.test(line));
  return firstParty(match[1] ?? "", Number(match[2]), caret === undefined ? 1 : caret.indexOf("^") + 1);
}

function firstParty(file: string, line: number, column: number): PrintedError["location"] {
  const foreign = /(^|\/)node_modules\/|^node:|^appctl\/|^\[|(^|\/)(serve|app)\.mjs$|^<anonymous>|^file:|^\//;
  return foreign.test(file) || line < 1 || column < 1 ? undefined : { file, line, column };
}
