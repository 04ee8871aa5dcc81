/** The pauses before the restarts of a replica that keeps ending: none, then 1, 2, 4 … 60 s. */
const FIRST_MS = 1_000;
const LONGEST_MS = 60_000;
/** A replica that was ready for this long starts over with no pause. */
const HEALTHY_MS = 60_000;

/** Counts a replica's ends in a row. */
export class BackOff {
  #endsInARow = 0;

  /** The pause before the next start, in milliseconds, after a replica that was ready for `healthyMs` has ended. */
  next(healthyMs: number): number {
    if (healthyMs >= HEALTHY_MS) this.#endsInARow = 0;
    const ends = this.#endsInARow++;
    return ends === 0 ? 0 : Math.min(FIRST_MS * 2 ** (ends - 1), LONGEST_MS);
  }
}
