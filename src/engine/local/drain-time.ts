/** How long the requests under way may take when a replica is replaced, in milliseconds. */
export const DRAIN_MS = 30_000;
/** How long a replica may take to end after SIGTERM, in milliseconds. */
export const STOP_MS = 10_000;
