/** When a request is tried again, and how long after. */

/** How often a request is tried again at most, when nothing moves. */
export const RETRIES = 5;
/** The longest time that a registry may ask to wait, in milliseconds; a longer one is an error at once. */
export const LONGEST_WAIT_MS = 120_000;

/** True for an answer that a later try may change. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && ![501, 505, 507].includes(status));
}

/**
 * The pause before the next try, in milliseconds: what `Retry-After` asks for (seconds or a date, RFC 9110 10.2.3), else
 * 200 ms, doubled each time up to 5 s, of which up to a half is left out by chance, so that many clients do not come at once.
 * `chance` is from 0 to 1.
 */
export function pauseBefore(
  attempt: number,
  retryAfter: string | string[] | undefined,
  { now, chance }: { now: number; chance: number },
): number {
  const header = Array.isArray(retryAfter) ? retryAfter[0] : retryAfter;
  if (header !== undefined) {
    if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
    const date = Date.parse(header);
    if (!Number.isNaN(date)) return Math.max(0, date - now);
  }
  return Math.min(200 * 2 ** attempt, 5000) * (1 - chance / 2);
}

/** Waits `ms` milliseconds; rejects with the signal's reason when it aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
