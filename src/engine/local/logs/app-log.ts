/**
 * One app's output on disk: `current.ndjson` and the segments before it, `<number>.ndjson`, one `LogLine` a line. Segment
 * numbers only grow, so that a reader always knows which one follows; the current one's number is the next free.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { LIMITS } from "../../../contract/limits.ts";
import type { LogLine } from "../../../contract/types.ts";

/** Sizes of the log of one app. */
export interface LogLimits {
  /** Bytes after which the current segment is put aside. */
  segmentBytes: number;
  /** Number of segments that are kept, the current one included. */
  segments: number;
}

/** 10 MiB five times. */
export const DEFAULT_LOG_LIMITS: LogLimits = { segmentBytes: LIMITS.logFileBytes.value, segments: 5 };

/** A place in an app's log: a segment's number and a byte in it. */
export interface LogPosition {
  segment: number;
  offset: number;
}

/** Writes one app's log and opens its segments for readers. */
export class AppLog {
  readonly #dir: string;
  readonly #limits: LogLimits;
  #segment: number;
  #size: number;
  #handle: FileHandle | undefined;
  #pending: { text: string; done: () => void }[] = [];
  #writing: Promise<void> | undefined;
  #closed = false;
  readonly #waiting = new Set<() => void>();

  constructor(dir: string, limits: LogLimits = DEFAULT_LOG_LIMITS) {
    this.#dir = dir;
    this.#limits = limits;
    this.#segment = (this.#rotated().at(-1) ?? 0) + 1;
    this.#size = cutPartialLine(this.#currentFile);
  }

  /** Where the next line goes. */
  get end(): LogPosition {
    return { segment: this.#segment, offset: this.#size };
  }

  /** The oldest segment that is kept. */
  get oldest(): number {
    return this.#rotated()[0] ?? this.#segment;
  }

  /** True after {@link close}. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Writes lines. Resolves when they are in the file: who waits for it never has more than one batch in memory. */
  append(lines: readonly LogLine[]): Promise<void> {
    if (this.#closed || lines.length === 0) return Promise.resolve();
    return new Promise((done) => {
      this.#pending.push({ text: lines.map((line) => `${JSON.stringify(line)}\n`).join(""), done });
      this.#writing ??= this.#write();
    });
  }

  /** Opens a segment for reading; undefined when it is not kept any more, or nothing was written to it. */
  async openSegment(segment: number): Promise<FileHandle | undefined> {
    for (;;) {
      const isCurrent = segment === this.#segment;
      const file = isCurrent ? this.#currentFile : this.#rotatedFile(segment);
      const handle = await open(file, "r").catch(() => undefined);
      // A rotation between the question and the answer: the name meant another segment, or has gone to a new one.
      if (isCurrent === (segment === this.#segment)) return handle;
      await handle?.close();
    }
  }

  /** Resolves when there is more than at `seen`, when the log is closed or when `signal` aborts. */
  async changed(seen: LogPosition, signal: AbortSignal): Promise<void> {
    if (this.#closed || signal.aborted) return;
    const { segment, offset } = this.end;
    if (segment !== seen.segment || offset !== seen.offset) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake);
    });
  }

  /** Ends the log: readers come to their end. With `remove`, the files go too. */
  async close(remove = false): Promise<void> {
    this.#closed = true;
    await this.#writing;
    await this.#handle?.close();
    this.#handle = undefined;
    if (remove) rmSync(this.#dir, { recursive: true, force: true });
    this.#wake();
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      const data = Buffer.from(batch.map(({ text }) => text).join(""));
      try {
        if (this.#size > 0 && this.#size + data.length > this.#limits.segmentBytes) await this.#rotate();
        mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
        this.#handle ??= await open(this.#currentFile, "a", 0o600);
        await this.#handle.appendFile(data);
        this.#size += data.length;
      } catch {
        // A full disk or a removed directory: an app must not stop because its output cannot be kept. What was written of
        // the batch is cut off again, so that the next line starts at the beginning of a line.
        await this.#handle?.truncate(this.#size).catch(() => {});
      }
      for (const { done } of batch) done();
      this.#wake();
    }
    // At once after the last look at what is pending: what is appended from now on starts a new round.
    this.#writing = undefined;
  }

  async #rotate(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
    renameSync(this.#currentFile, this.#rotatedFile(this.#segment));
    this.#segment++;
    this.#size = 0;
    const rotated = this.#rotated();
    for (const old of rotated.slice(0, Math.max(0, rotated.length - this.#limits.segments + 1))) {
      rmSync(this.#rotatedFile(old), { force: true });
    }
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  get #currentFile(): string {
    return join(this.#dir, "current.ndjson");
  }

  #rotatedFile(segment: number): string {
    return join(this.#dir, `${segment}.ndjson`);
  }

  #rotated(): number[] {
    try {
      return readdirSync(this.#dir)
        .flatMap((name) => /^(\d+)\.ndjson$/.exec(name)?.[1] ?? [])
        .map(Number)
        .sort((a, b) => a - b);
    } catch {
      return []; // removed with its app
    }
  }
}

/** Size of a log file in bytes, after a line that a crash cut short was removed from its end. */
function cutPartialLine(file: string): number {
  let size: number;
  try {
    size = statSync(file).size;
  } catch {
    return 0; // nothing was written yet
  }
  if (size === 0) return 0;
  const whole = readFileSync(file).lastIndexOf(0x0a) + 1;
  if (whole < size) truncateSync(file, whole);
  return whole;
}
