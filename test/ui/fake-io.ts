/** A command's surroundings in memory. */
import { PassThrough } from "node:stream";
import { EventLines } from "../../src/ui/event-lines.ts";
import type { Io } from "../../src/ui/io.ts";
import type { Output } from "../../src/ui/streams.ts";

/** What {@link fakeIo} may be told. */
export interface FakeOptions {
  env?: Record<string, string>;
  cwd?: string;
  stdin?: string | Uint8Array;
  /** Makes the streams terminals of that width. */
  columns?: number;
  signal?: AbortSignal;
}

/** An {@link Io} and what was written to it. */
export interface FakeIo {
  io: Io;
  stdout(): string;
  stderr(): string;
  /** Both streams in the order in which they were written. */
  all(): string;
}

export const NOW = new Date("2026-03-01T12:00:00.000Z");

export function fakeIo(options: FakeOptions = {}): FakeIo {
  const written: { stream: "out" | "err"; text: string }[] = [];
  const output = (stream: "out" | "err"): Output => ({
    write: (text) => written.push({ stream, text }),
    ...(options.columns === undefined ? {} : { isTTY: true, columns: options.columns }),
  });
  const stdin = Object.assign(new PassThrough(), options.columns === undefined ? {} : { isTTY: true });
  if (options.stdin !== undefined) stdin.end(options.stdin);
  const stdout = output("out");
  const of = (stream?: "out" | "err") =>
    written
      .filter((each) => stream === undefined || each.stream === stream)
      .map(({ text }) => text)
      .join("");
  return {
    io: {
      cwd: options.cwd ?? "/nowhere",
      env: options.env ?? {},
      stdin,
      stdout,
      stderr: output("err"),
      signal: options.signal ?? new AbortController().signal,
      unread: new AbortController().signal,
      now: () => NOW,
      launcher: "appctl",
      lines: new EventLines(stdout, () => NOW),
    },
    stdout: () => of("out"),
    stderr: () => of("err"),
    all: () => of(),
  };
}
