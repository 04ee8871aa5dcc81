import type { Output } from "./streams.ts";

/**
 * The lines of `-o ndjson`: one JSON object a line with `v` (1), `seq` (from 1, without gaps), `time` (ISO 8601, UTC) and
 * `type`. The last line of a run is its terminal event.
 */
export class EventLines {
  readonly #out: Output;
  readonly #now: () => Date;
  #seq = 0;

  constructor(out: Output, now: () => Date) {
    this.#out = out;
    this.#now = now;
  }

  /** Writes one event; `time` is when it happened, where that is not now. */
  write(event: { type: string; time?: string }): void {
    this.#seq++;
    const { type, time, ...rest } = event;
    const line = { v: 1, seq: this.#seq, time: time ?? this.#now().toISOString(), type, ...rest };
    this.#out.write(`${JSON.stringify(line)}\n`);
  }
}
