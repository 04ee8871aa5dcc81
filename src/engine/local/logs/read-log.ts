/** Reads an app's log: its last lines, those since a time, and those to come, across segments. */
import type { FileHandle } from "node:fs/promises";
import type { LogLine } from "../../../contract/types.ts";
import { type LogPosition, linesUpTo } from "../../../core/log-writer.ts";
import type { LogQuery } from "../../engine.ts";
import type { AppLog } from "./app-log.ts";

const CHUNK = 64 * 1024;
const NEWLINE = 0x0a;

/** Lines of `log` as `query` wants them, oldest first. No line is lost or given twice when the log rotates meanwhile. */
export async function* readLog(log: AppLog, query: LogQuery): AsyncGenerator<LogLine> {
  const { signal } = query;
  // ISO times of one form sort as text.
  const since = query.since === undefined ? "" : new Date(query.since).toISOString();
  const end = log.end;
  let position = await startOf(log, end, query.tail);
  // Lines of the log up to the position; a reader that only looks does not fall behind.
  let count = query.follow ? linesUpTo(log.dir, position) : undefined;
  while (!signal.aborted) {
    const upTo = query.follow ? log.end : end;
    for await (const { line, before, next } of linesBetween(log, position, upTo)) {
      if (signal.aborted) return;
      if (count !== undefined) {
        const missed = before === undefined ? 0 : before - count;
        if (missed > 0 && line) yield { ...line, stream: "stderr", line: `${missed} lines were not kept` };
        count = (before ?? count) + 1;
      }
      position = next;
      if (line !== undefined && line.time >= since) yield line;
    }
    if (!query.follow) return;
    // Segments that are gone were skipped: whatever follows starts where this pass ended.
    position = upTo;
    if (log.closed && samePlace(log.end, upTo)) return;
    await log.changed(upTo, signal);
  }
}

interface ReadLine {
  /** Undefined for a line that cannot be read. */
  line: LogLine | undefined;
  /** The number of lines before it in the log; only of the first line of a segment. */
  before: number | undefined;
  /** The position after it. */
  next: LogPosition;
}

async function* linesBetween(log: AppLog, from: LogPosition, to: LogPosition): AsyncGenerator<ReadLine> {
  for (let segment = Math.max(from.segment, log.oldest); segment <= to.segment; segment++) {
    const handle = await log.openSegment(segment);
    if (!handle) continue;
    try {
      const start = segment === from.segment ? from.offset : 0;
      yield* linesOf(handle, segment, start, segment === to.segment ? to.offset : Number.POSITIVE_INFINITY);
    } finally {
      await handle.close();
    }
  }
}

async function* linesOf(handle: FileHandle, segment: number, from: number, to: number): AsyncGenerator<ReadLine> {
  const chunk = Buffer.alloc(CHUNK);
  let rest = Buffer.alloc(0);
  let offset = from;
  for (let at = from; at < to; ) {
    const { bytesRead } = await handle.read(chunk, 0, Math.min(CHUNK, to - at), at);
    if (bytesRead === 0) return;
    at += bytesRead;
    const data = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
    let start = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, start)) {
      const text = data.toString("utf8", start, end);
      offset += end + 1 - start;
      start = end + 1;
      yield { ...parse(text), next: { segment, offset } };
    }
    rest = data.subarray(start);
  }
}

/** Where the last `tail` lines before `end` start; the oldest line that is kept when `tail` is undefined. */
async function startOf(log: AppLog, end: LogPosition, tail: number | undefined): Promise<LogPosition> {
  if (tail === undefined) return { segment: log.oldest, offset: 0 };
  let missing = tail;
  if (missing <= 0) return end;
  for (let segment = end.segment; segment >= log.oldest; segment--) {
    const handle = await log.openSegment(segment);
    if (!handle) continue;
    try {
      const size = segment === end.segment ? end.offset : (await handle.stat()).size;
      const found = await startOfLast(handle, size, missing);
      if (found.missing === 0) return { segment, offset: found.offset };
      missing = found.missing;
    } finally {
      await handle.close();
    }
  }
  return { segment: log.oldest, offset: 0 };
}

/** Walks back from `size` over `wanted` lines; `missing` says how many of them the file does not have. */
async function startOfLast(handle: FileHandle, size: number, wanted: number) {
  const chunk = Buffer.alloc(CHUNK);
  let lineEnds = 0;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - CHUNK);
    const { bytesRead } = await handle.read(chunk, 0, end - start, start);
    for (let at = bytesRead - 1; at >= 0; at--) {
      // the line end before the first wanted line is one more than the lines
      if (chunk[at] === NEWLINE && ++lineEnds > wanted) return { offset: start + at + 1, missing: 0 };
    }
    end = start;
  }
  return { offset: 0, missing: wanted - lineEnds };
}

function parse(text: string): Pick<ReadLine, "line" | "before"> {
  try {
    const { before, ...line } = JSON.parse(text) as LogLine & { before?: number };
    return { line, before };
  } catch {
    return { line: undefined, before: undefined }; // damaged on the disk: the lines around it are good
  }
}

function samePlace(a: LogPosition, b: LogPosition): boolean {
  return a.segment === b.segment && a.offset === b.offset;
}
