import type { DeploymentEvent } from "../../contract/types.ts";
import type { AppStore, DeploymentRecord, NewEvent } from "../store/app-store.ts";

/** The durable, numbered event log of each deployment, and those who wait for its next event. */
export class EventLog {
  readonly #store: AppStore;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(store: AppStore) {
    this.#store = store;
  }

  /** Writes events and whatever `change` does in one transaction, then wakes the waiters. */
  append(deployment: DeploymentRecord, events: NewEvent[], change?: () => void): void {
    this.#store.transaction(() => {
      change?.();
      for (const event of events) this.#store.appendEvent(deployment, event);
    });
    this.wake(deployment);
  }

  /** Wakes the readers that wait for this deployment. Call it after you wrote events in a transaction of your own. */
  wake(deployment: DeploymentRecord): void {
    const key = keyOf(deployment.appId, deployment.id);
    const waiting = this.#waiting.get(key);
    this.#waiting.delete(key);
    for (const resolve of waiting ?? []) resolve();
  }

  /** Events after `after`; when there are none yet, waits up to `waitMs` for one. */
  async read(
    deployment: DeploymentRecord,
    after: number,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<DeploymentEvent[]> {
    const events = this.#store.events(deployment.appId, deployment.id, after);
    if (events.length > 0 || waitMs <= 0 || this.#isClosed(deployment)) return events;
    await this.#next(keyOf(deployment.appId, deployment.id), waitMs, signal);
    return this.#store.events(deployment.appId, deployment.id, after);
  }

  #isClosed(deployment: DeploymentRecord): boolean {
    return this.#store.deployment(deployment.appId, deployment.id)?.state !== "open";
  }

  #next(key: string, waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, waiting);
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        waiting.delete(done);
        if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted) return done();
      waiting.add(done);
    });
  }
}

function keyOf(appId: number, deployment: number): string {
  return `${appId}/${deployment}`;
}
