import type { Lease } from "../core/lease.ts";
import type { Refusal } from "./refusal.ts";

/** Where the requests for one host go. */
export interface Route {
  /** The app's name, for messages. */
  app: string;
  /** Only callers with a platform key get through. */
  requiresAuth: boolean;
  /** Longest time from the request's head to the first byte of the response's, in milliseconds; then 504. */
  requestTimeoutMs: number;
  /** The app is stopped: 503 APP_STOPPED. */
  stopped: boolean;
  /**
   * The answer when nobody listens at the replica's address. With it, a connection that breaks before an answer breaks the client's,
   * too: what became of the request is not known. Default: 502 for both.
   */
  away?(): Refusal;
  /**
   * Set while the app has no replica and one is coming up: resolves when that may have changed. Requests are held until then.
   */
  readonly coming?: Promise<void> | undefined;
  /** A replica for one exchange, or null when none is ready: 503 NO_REPLICA. */
  lease(): Lease | null;
}
