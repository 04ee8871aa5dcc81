/**
 * Writes the log of one app: `current.ndjson` and the segments before it, `<number>.ndjson`, one JSON object a line. Numbers of
 * segments only grow; that of the current one is the next free. The first line of a segment has `before`: the number of lines of
 * the log before it. So a reader whose next segment is gone can tell how many lines it has missed.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";

/** Sizes of the log of one app. */
export interface LogLimits {
  /** Bytes after which the current segment is put aside. */
  segmentBytes: number;
  /** Number of segments that are kept, the current one included. */
  segments: number;
}

/** A place in an app's log: a segment's number and a byte in it. */
export interface LogPosition {
  segment: number;
  offset: number;
}

/** The current segment's file. */
export const currentFile = (dir: string): string => join(dir, "current.ndjson");

/** The file of a segment that is no longer the current one. */
export const segmentFile = (dir: string, segment: number): string => join(dir, `${segment}.ndjson`);

/** Numbers of the segments before the current one, oldest first. */
export function segmentsIn(dir: string): number[] {
  try {
    return readdirSync(dir)
      .flatMap((name) => /^(\d+)\.ndjson$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  } catch {
    return []; // removed with its app, or nothing was written yet
  }
}

/** Where the last whole line in `dir` ends. */
export function endOf(dir: string): LogPosition {
  return { segment: (segmentsIn(dir).at(-1) ?? 0) + 1, offset: wholeLines(currentFile(dir)) };
}

/** Appends lines, in order. One writer at a time may have a directory. */
export class LogWriter {
  readonly #dir: string;
  readonly #limits: LogLimits;
  readonly #moved: (end: LogPosition) => void;
  #end: LogPosition;
  /** Lines of the log so far. */
  #lines: number;
  #handle: FileHandle | undefined;
  #pending: { text: string; done: () => void }[] = [];
  #writing: Promise<void> | undefined;
  #closed = false;

  /** `moved` is called after each write, with the new end. A line that a crash cut short is removed. */
  constructor(dir: string, limits: LogLimits, moved: (end: LogPosition) => void) {
    this.#dir = dir;
    this.#limits = limits;
    this.#moved = moved;
    this.#end = endOf(dir);
    cutAfter(currentFile(dir), this.#end.offset);
    this.#lines = linesUpTo(dir, this.#end);
  }

  /** Writes `text`, whole lines. Resolves when it is in the file: a caller that waits has one batch in memory at most. */
  append(text: string): Promise<void> {
    if (this.#closed || text === "") return Promise.resolve();
    return new Promise((done) => {
      this.#pending.push({ text, done });
      this.#writing ??= this.#write();
    });
  }

  /** Resolves when everything is written and the file is closed. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing;
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      let data: Buffer = Buffer.from(batch.map(({ text }) => text).join(""));
      try {
        if (this.#end.offset > 0 && this.#end.offset + data.length > this.#limits.segmentBytes) await this.#rotate();
        if (this.#end.offset === 0) data = withLinesBefore(data, this.#lines);
        mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
        this.#handle ??= await open(currentFile(this.#dir), "a", 0o600);
        await this.#handle.appendFile(data);
        this.#end = { segment: this.#end.segment, offset: this.#end.offset + data.length };
        this.#lines += linesIn(data);
      } catch {
        // A full disk or a removed directory: an app must not stop because its output cannot be kept. What was written of
        // the batch is cut off again, so that the next line starts at the beginning of a line.
        await this.#handle?.truncate(this.#end.offset).catch(() => {});
      }
      for (const { done } of batch) done();
      this.#moved(this.#end);
    }
    // At once after the last look at what is pending: what is appended from now on starts a new round.
    this.#writing = undefined;
  }

  async #rotate(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
    renameSync(currentFile(this.#dir), segmentFile(this.#dir, this.#end.segment));
    this.#end = { segment: this.#end.segment + 1, offset: 0 };
    const old = segmentsIn(this.#dir);
    for (const segment of old.slice(0, Math.max(0, old.length - this.#limits.segments + 1))) {
      rmSync(segmentFile(this.#dir, segment), { force: true });
    }
  }
}

/** The number of lines of the log before `position`. 0 where the log does not say. */
export function linesUpTo(dir: string, { segment, offset }: LogPosition): number {
  const isCurrent = !segmentsIn(dir).includes(segment);
  try {
    const data = readFileSync(isCurrent ? currentFile(dir) : segmentFile(dir, segment)).subarray(0, offset);
    return linesBefore(data.toString("utf8", 0, data.indexOf(0x0a))) + linesIn(data);
  } catch {
    // Nothing was written to it yet: what counts is the segment before it.
    const last = segmentsIn(dir).findLast((number) => number < segment);
    return last === undefined ? 0 : linesUpTo(dir, { segment: last, offset: Number.POSITIVE_INFINITY });
  }
}

/** The number of lines before the segment whose first line this is. */
export function linesBefore(firstLine: string): number {
  return Number(/^\{"before":(\d+),/.exec(firstLine)?.[1] ?? 0);
}

function withLinesBefore(data: Buffer, lines: number): Buffer {
  return data[0] === 0x7b /* { */ ? Buffer.concat([Buffer.from(`{"before":${lines},`), data.subarray(1)]) : data;
}

function linesIn(data: Buffer): number {
  let lines = 0;
  for (let at = data.indexOf(0x0a); at >= 0; at = data.indexOf(0x0a, at + 1)) lines++;
  return lines;
}

/** Size of the whole lines of a file, in bytes; 0 when there is no file. */
function wholeLines(file: string): number {
  try {
    return statSync(file).size === 0 ? 0 : readFileSync(file).lastIndexOf(0x0a) + 1;
  } catch {
    return 0; // nothing was written yet
  }
}

function cutAfter(file: string, size: number): void {
  try {
    if (statSync(file).size > size) truncateSync(file, size);
  } catch {
    // nothing was written yet
  }
}
