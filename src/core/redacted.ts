import { inspect } from "node:util";

/** A value that cannot print itself: string conversion, JSON and `util.inspect` all give `[REDACTED]`. */
export class Redacted<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The value itself. Call it only where the value leaves for its one destination. */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return "[REDACTED]";
  }

  toJSON(): string {
    return "[REDACTED]";
  }

  [inspect.custom](): string {
    return "[REDACTED]";
  }
}
