/** One app's output on disk, for readers: its segments, where it ends now, and a wait for more. `LogWriter` has the format. */
import { rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { LIMITS } from "../../../contract/limits.ts";
import type { LogLine } from "../../../contract/types.ts";
import {
  currentFile,
  endOf,
  type LogLimits,
  type LogPosition,
  LogWriter,
  segmentFile,
  segmentsIn,
} from "../../../core/log-writer.ts";

/** 10 MiB five times. */
export const DEFAULT_LOG_LIMITS: LogLimits = { segmentBytes: LIMITS.logFileBytes.value, segments: 5 };

/** An app's log. Either this object writes it ({@link append}), or another process does, and says so ({@link moved}). */
export class AppLog {
  readonly dir: string;
  readonly limits: LogLimits;
  #end: LogPosition;
  #writer: LogWriter | undefined;
  #closed = false;
  readonly #waiting = new Set<() => void>();

  constructor(dir: string, limits: LogLimits = DEFAULT_LOG_LIMITS) {
    this.dir = dir;
    this.limits = limits;
    this.#end = endOf(dir);
  }

  /** Where the next line goes. */
  get end(): LogPosition {
    return this.#end;
  }

  /** The oldest segment that is kept. */
  get oldest(): number {
    return segmentsIn(this.dir)[0] ?? this.#end.segment;
  }

  /** True after {@link close}. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Writes lines. Resolves when they are in the file. */
  append(lines: readonly LogLine[]): Promise<void> {
    if (this.#closed || lines.length === 0) return Promise.resolve();
    this.#writer ??= new LogWriter(this.dir, this.limits, (end) => this.moved(end));
    return this.#writer.append(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }

  /** The log ends at `end` now. */
  moved(end: LogPosition): void {
    this.#end = end;
    this.#wake();
  }

  /** Opens a segment for reading; undefined when it is not kept any more, or nothing was written to it. */
  async openSegment(segment: number): Promise<FileHandle | undefined> {
    const opened = (file: string) => open(file, "r").catch(() => undefined);
    // The writer may put the current segment aside at any moment; from then on its file has its number.
    const rotated = await opened(segmentFile(this.dir, segment));
    if (rotated || segment < this.#end.segment) return rotated;
    const current = await opened(currentFile(this.dir));
    if (!segmentsIn(this.dir).includes(segment)) return current;
    await current?.close();
    return opened(segmentFile(this.dir, segment));
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
    await this.#writer?.close();
    if (remove) rmSync(this.dir, { recursive: true, force: true });
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
