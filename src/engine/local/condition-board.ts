import { isDeepStrictEqual } from "node:util";
import type { Condition } from "../engine.ts";

/** What is true of a revision that nobody has asked for yet: Knative's words for the time before its controllers look. */
export function unknownRevision(revision: string): Condition {
  return {
    revision,
    ready: "Unknown",
    reason: "OutOfDate",
    message: "The Configuration is still working to reflect the latest desired specification.",
  };
}

/** Revisions that failed are remembered, so that who asks late still learns the cause: this many of an app. */
const REMEMBERED_FAILURES = 10;

/** The conditions of one app's revisions, and those who watch them. */
export class ConditionBoard {
  readonly #current = new Map<string, Condition>();
  readonly #watchers = new Map<string, Set<(condition: Condition) => void>>();

  /** Sets a revision's condition. Every watcher gets each change, however short it was true. */
  set(condition: Condition): void {
    const { revision } = condition;
    if (isDeepStrictEqual(this.#current.get(revision), condition)) return;
    this.#current.delete(revision);
    this.#current.set(revision, condition);
    for (const tell of this.#watchers.get(revision) ?? []) tell(condition);
    if (condition.ready === "False") this.#forgetOldFailures();
  }

  /** The revision's condition now. */
  get(revision: string): Condition | undefined {
    return this.#current.get(revision);
  }

  /** Forgets a revision that is not wanted any more. */
  forget(revision: string): void {
    this.#current.delete(revision);
  }

  /** The current condition, then each change, until it is `True` or `False` or `signal` aborts. */
  async *watch(revision: string, signal: AbortSignal): AsyncGenerator<Condition> {
    const queue: Condition[] = [this.#current.get(revision) ?? unknownRevision(revision)];
    let wake = () => {};
    const tell = (condition: Condition) => {
      queue.push(condition);
      wake();
    };
    const onAbort = () => wake();
    const watchers = this.#watchers.get(revision) ?? new Set();
    this.#watchers.set(revision, watchers.add(tell));
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted) {
        const condition = queue.shift();
        if (condition) {
          yield condition;
          if (condition.ready !== "Unknown") return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      watchers.delete(tell);
      if (watchers.size === 0) this.#watchers.delete(revision);
    }
  }

  #forgetOldFailures(): void {
    const failed = [...this.#current.values()].filter(({ ready }) => ready === "False");
    for (const { revision } of failed.slice(0, -REMEMBERED_FAILURES)) this.#current.delete(revision);
  }
}
