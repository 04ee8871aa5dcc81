/**
 * Reads what Node prints about an uncaught error: `util.inspect` of the error, after an excerpt of the source when the
 * error left the program. Frames are already mapped to the user's files by `--enable-source-maps`.
 */
import type { FailureCause } from "../contract/types.ts";

/** An error found in a program's output. */
export interface PrintedError {
  /** The error's own first line, for example `TypeError: x is not a function`. */
  headline: string;
  /** The rest of its message, then a line for each error that caused it or that it is made of. */
  more: string[];
  /** Frames in the user's code and in packages, innermost first, as `at name (file:line:column)`. */
  frames: string[];
  /** First place in the user's own code. */
  location?: NonNullable<FailureCause["location"]>;
  /** The lines that print it: from the excerpt of the source to the error's last property. `to` is exclusive. */
  from: number;
  to: number;
}

/** Where an error begins, and where its frames are. */
interface Block {
  head: number;
  headline: string;
  more: string[];
  frames: string[];
  /** Index after the last line. */
  end: number;
}

const FRAME = /^ {4}(?:at |\.{3} \d+ lines matching cause stack trace)/;
/** Node's second list of frames, below the error of an emitter that nobody listened to. */
const EMITTED = /^Emitted '.+' event .*at:$/;
/** What says nothing to the app's author: Node's own code, the server shim, the SDK and the bundle. */
const FOREIGN_PLACE =
  /(?:\(|at (?:async )?)(?:node:.*|<anonymous>|native|index \d+|(?:.*\/)?(?:serve|app)\.mjs:\d+:\d+|appctl\/.*)\)?$/;
const HEADLINE = /^(?:Uncaught )?[A-Za-z_$][\w$.]*(?: \[[^\]]+\])?(?::|$| \{)/;
const ERROR_NAME = /^(?:Uncaught )?[\w$.]*(?:Error|Exception)\b/;
/** An error without frames: `util.inspect` puts it in brackets. */
const BRACKETED = /^\[((?:[\w$.]*(?:Error|Exception)|UnhandledPromiseRejection)\b.*)\](?: \{)?$/;
/** An error among the properties of another one. */
const NESTED = /^ +(\[cause\]: )?\[?((?:[A-Z][\w$.]*)?(?:Error|Exception)\b.*?)\]?,?(?: \{)?$/;
const VALUE_CAUSE = /^ +\[cause\]: (.+?),?$/;
const UNHANDLED = /^UnhandledPromiseRejection: .* The promise rejected with the reason "([\s\S]*)"\.?$/;
const UNCAUGHT_VALUE = /^Uncaught(?! \w*Error\b) /;
/** What Node prints behind a value that it does not know the place of, or as its last line. */
const AFTER_VALUE = /^\(Use `node --trace-uncaught|^Node\.js v\d/;
/** Last line of an excerpt of the source. */
const CARET = /^\s*\^+\s*$/;
/** Farthest that an error's message may reach above its first frame, and an excerpt above its error, in lines. */
const LONGEST_MESSAGE = 40;
const MOST_NESTED = 8;

/** The last error in `lines`, whose paths are relative to the content. */
export function findPrintedError(lines: readonly string[]): PrintedError | undefined {
  const found = [framedError(lines), framelessError(lines), uncaughtValue(lines)]
    .filter((block) => block !== undefined)
    .sort((a, b) => b.head - a.head)[0];
  if (!found) return undefined;
  const { head, headline, more, frames, end } = found;
  const excerpt = excerptAbove(lines, head);
  const to = endOfProperties(lines, end);
  const nested = nestedErrors(lines.slice(end, to));
  const places = [...frames.map(locationOf), excerpt?.location, ...nested.map(({ location }) => location)];
  const location = places.find((place) => place !== undefined);
  const reason = UNHANDLED.exec(headline)?.[1];
  return {
    headline: reason === undefined ? headline : `Uncaught (in promise) ${reason}`,
    more: [...more, ...nested.map(({ text }) => text)],
    frames,
    ...(location ? { location } : {}),
    from: excerpt?.from ?? head,
    to,
  };
}

/** An error with frames below it. */
function framedError(lines: readonly string[]): Block | undefined {
  const firstFrame = lines.findLastIndex((line, at) => {
    const above = lines[at - 1] ?? "";
    return FRAME.test(line) && !FRAME.test(above) && !EMITTED.test(above);
  });
  if (firstFrame < 1) return undefined;
  const head = headlineAbove(lines, firstFrame);
  let end = firstFrame;
  while (FRAME.test(lines[end] ?? "") || EMITTED.test(lines[end] ?? "")) end++;
  const [headline = "", ...more] = messageOf(lines.slice(head, firstFrame));
  const emitted = lines.findIndex((line, at) => at > firstFrame && EMITTED.test(line));
  const frames = lines.slice(firstFrame, emitted < 0 ? end : Math.min(emitted, end)).flatMap(frameOf);
  return { head, headline, more, frames, end };
}

/** An error that has no frames, such as that of `Promise.any`. */
function framelessError(lines: readonly string[]): Block | undefined {
  const head = lines.findLastIndex((line) => BRACKETED.test(line));
  const text = BRACKETED.exec(lines[head] ?? "")?.[1];
  if (text === undefined) return undefined;
  return { head, headline: text, more: [], frames: [], end: head + 1 };
}

/** A thrown value that is no error: behind `Uncaught`, or below an excerpt of the source. */
function uncaughtValue(lines: readonly string[]): Block | undefined {
  const caret = lines.findLastIndex((line) => CARET.test(line));
  const last = caret < 0 ? -1 : lines.findIndex((line, at) => at > caret && AFTER_VALUE.test(line));
  const printed = last < 0 ? -1 : lines.findIndex((line, at) => at > caret && line !== "");
  const uncaught = lines.findLastIndex((line) => UNCAUGHT_VALUE.test(line));
  const head = Math.max(printed, uncaught);
  if (head < 0) return undefined;
  const end = head === printed ? last : head + 1;
  const value = lines.slice(head, end).map((line) => line.replace(/^Uncaught:? */, "").trim());
  const headline = ["Uncaught", ...value.filter((part) => part !== "")].join(" ");
  return { head, headline, more: [], frames: [], end: end + (AFTER_VALUE.test(lines[end] ?? "") ? 1 : 0) };
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

/** An error's message, without who imported what is missing: frames tell that, or it is the bundle. */
function messageOf(lines: readonly string[]): string[] {
  const [headline = "", ...more] = lines;
  const stack = more.indexOf("Require stack:");
  return [
    headline
      .replace(/^Uncaught /, "")
      .replace(/ \{$/, "")
      .replace(/ imported from (?:\S*\/)?app\.mjs$/, "")
      .trim(),
    ...(stack < 0 ? more : more.slice(0, stack)),
  ];
}

/** True for a frame of Node's own code, of the server shim, the SDK or the bundle. */
export function isForeignFrame(line: string): boolean {
  return /^\s+at /.test(line) && FOREIGN_PLACE.test(line.replace(/ \{$/, ""));
}

function frameOf(line: string): string[] {
  const frame = line.replace(/ \{$/, "").trim();
  if (!frame.startsWith("at ") || isForeignFrame(line)) return [];
  return [frame.replace(/^at (?:async )?(?:Object\.)?<anonymous> \((.*)\)$/, "at $1")];
}

/** Node's excerpt of the source above an error: `file:3`, the line's text, a caret below the fault. */
function excerptAbove(lines: readonly string[], head: number) {
  const lowest = Math.max(0, head - LONGEST_MESSAGE);
  const above = lines.slice(lowest, head);
  const at = above.findLastIndex((line) => /^\S+:\d+$/.test(line));
  const caret = above.findIndex((line, index) => index > at && CARET.test(line));
  // Below the caret only an empty line, else the excerpt is not this error's.
  if (at < 0 || caret < 0 || above.slice(caret + 1).some((line) => line !== "")) return undefined;
  const [, file = "", line] = /^(\S+):(\d+)$/.exec(above[at] ?? "") ?? [];
  const column = (above[caret] ?? "").indexOf("^") + 1;
  return { from: lowest + at, location: firstParty(file, Number(line), column) };
}

/** Index after the properties of an error, which `util.inspect` prints in braces behind its last line. */
function endOfProperties(lines: readonly string[], end: number): number {
  if (!lines[end - 1]?.endsWith(" {")) return end;
  const close = lines.findIndex((line, at) => at >= end && line === "}");
  return close < 0 ? lines.length : close + 1;
}

/** The errors among an error's properties, each as one line with its place. */
function nestedErrors(lines: readonly string[]): { text: string; location: PrintedError["location"] }[] {
  const heads = lines.flatMap((line, at) => {
    const [, isCause, text] = NESTED.exec(line) ?? VALUE_CAUSE.exec(line)?.toSpliced(1, 0, "[cause]: ") ?? [];
    return text === undefined ? [] : [{ at, text, isCause }];
  });
  return heads.slice(0, MOST_NESTED).map(({ at, text, isCause }, index) => {
    const block = lines.slice(at + 1, heads[index + 1]?.at).map((line) => line.replace(/ \{$/, "").trim());
    const location = block.map(locationOf).find((place) => place !== undefined);
    const place = location ? ` (${location.file}:${location.line}:${location.column})` : "";
    return { text: `  ${isCause ? "caused by " : ""}${text}${place}`, location };
  });
}

function locationOf(frame: string): PrintedError["location"] {
  const match = /^at (?:.*\(|(?:async )?)((?:file:\/\/)?[^()]+?):(\d+):(\d+)\)?$/.exec(frame);
  return match ? firstParty(match[1] ?? "", Number(match[2]), Number(match[3])) : undefined;
}

function firstParty(file: string, line: number, column: number): PrintedError["location"] {
  const foreign = /(^|\/)node_modules\/|^node:|^appctl\/|^\[|(^|\/)(serve|app)\.mjs$|^<anonymous>|^file:|^\//;
  return foreign.test(file) || line < 1 || column < 1 ? undefined : { file, line, column };
}
