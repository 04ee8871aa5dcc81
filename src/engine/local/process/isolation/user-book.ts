import { readFileSync } from "node:fs";
import type { AppRef } from "../../../../contract/types.ts";
import { writeDurably } from "../../../../core/write-durably.ts";

/**
 * Which app has which number of the range of users. A number is handed out again only when all have been: files of a deleted
 * app that lie about somewhere must not become those of the next one.
 */
export class UserBook {
  readonly #file: string;
  readonly #count: number;
  readonly #numbers: Map<string, number>;
  #next: number;

  /** `file` is made by the first entry; `count` numbers can be had. Throws when the file is there and cannot be read. */
  constructor(file: string, count: number) {
    this.#file = file;
    this.#count = count;
    const { next, numbers } = read(file);
    this.#next = next;
    this.#numbers = new Map(Object.entries(numbers));
  }

  /** The app's number, drawn and written down when it has none. Throws when all are taken. */
  numberOf(ref: AppRef): number {
    const key = keyOf(ref);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const taken = new Set(this.#numbers.values());
    if (taken.size >= this.#count) throw new Error(`all ${this.#count} users for apps are taken`);
    let number = this.#next % this.#count;
    while (taken.has(number)) number = (number + 1) % this.#count;
    this.#numbers.set(key, number);
    this.#next = number + 1;
    this.#write();
    return number;
  }

  /** The number goes back, when the app had one. */
  remove(ref: AppRef): number | undefined {
    const number = this.#numbers.get(keyOf(ref));
    if (this.#numbers.delete(keyOf(ref))) this.#write();
    return number;
  }

  #write(): void {
    const text = JSON.stringify({ next: this.#next, numbers: Object.fromEntries(this.#numbers) });
    writeDurably(this.#file, `${text}\n`);
  }
}

function read(file: string): { next: number; numbers: Record<string, number> } {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return { next: 0, numbers: {} };
  }
  return JSON.parse(text);
}

function keyOf({ project, domain, name }: AppRef): string {
  return `${project}/${domain}/${name}`;
}
