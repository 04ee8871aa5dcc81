import type { Span } from "../core/trace.ts";

/** A {@link Trace}'s phases as lines of text: when each began and how long it took, in milliseconds. */
export function traceLines(spans: readonly Span[]): string[] {
  const number = (ms: number) => ms.toFixed(0).padStart(6);
  return [
    "Where the time went (began at, took, in milliseconds since the start of the process):",
    ...spans.map(({ name, start, end }) => `${number(start)} ${number(end - start)}  ${name}`),
  ];
}
