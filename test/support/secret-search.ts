/**
 * Looks for every registered secret in what a test leaves: files, outputs and command lines. What it looked at is written
 * to a ledger, so that the end of the whole suite can tell that something was looked at (see `secret-ledger.ts`).
 */
import { appendFileSync, lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { needles, registeredCount } from "./canary.ts";

/** Where to look. Exceptions are exact: a path, or the text of one output, and the names that may be there. */
export interface Searched {
  /** What it is, for the ledger and for messages. */
  what: string;
  /** Folders; every file below is read, gzip also unpacked. */
  dirs?: readonly string[];
  /** Texts with their places. */
  texts?: Iterable<readonly [place: string, text: string]>;
  /** Names that a place may hold. */
  allowed?: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Among the names that a place may hold: it may hold all. */
export const ANY = "*";

/** What a search of one world, platform or engine has seen. */
export interface LedgerEntry {
  what: string;
  secrets: number;
  files: number;
  texts: number;
  leaks: string[];
}

/** Environment variable with the path of the ledger. */
export const LEDGER = "SECRET_LEDGER";

/** Throws when a registered secret is anywhere; tells the place and the form, never the value. */
export function expectNoSecrets({ what, dirs = [], texts = [], allowed = new Map() }: Searched): void {
  const entry: LedgerEntry = { what, secrets: registeredCount(), files: 0, texts: 0, leaks: [] };
  const everything = needles();
  const look = (place: string, content: Buffer) => {
    const may = allowed.get(place);
    for (const { name, form, needle } of everything) {
      if (!may?.has(ANY) && !may?.has(name) && content.includes(needle))
        entry.leaks.push(`${name} (${form}) in ${place}`);
    }
  };
  for (const file of dirs.flatMap(filesBelow)) {
    const content = read(file);
    if (content === undefined) continue;
    entry.files++;
    look(file, content);
    if (content[0] === 0x1f && content[1] === 0x8b) look(`${file} (unpacked)`, unpacked(content));
  }
  for (const [place, text] of texts) {
    entry.texts++;
    look(place, Buffer.from(text));
  }
  const ledger = process.env[LEDGER];
  if (ledger !== undefined) appendFileSync(ledger, `${JSON.stringify(entry)}\n`);
  if (entry.leaks.length > 0) throw new Error(`secrets were found after ${what}:\n  ${entry.leaks.join("\n  ")}`);
}

function filesBelow(dir: string): string[] {
  try {
    return readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch (error) {
    const { code, path = dir } = error as NodeJS.ErrnoException;
    // A folder of another user, such as one that root's platform has in /dev/shm, is not what was run here.
    if (code === "ENOENT" || (code === "EACCES" && statSync(path).uid !== process.getuid?.())) return [];
    throw error;
  }
}

/** Undefined for a file that has gone meanwhile: others work in shared folders. */
function read(file: string): Buffer | undefined {
  try {
    return lstatSync(file).isFile() ? readFileSync(file) : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function unpacked(content: Buffer): Buffer {
  try {
    return gunzipSync(content, { finishFlush: 2 });
  } catch {
    return Buffer.alloc(0); // not gzip after all, or damaged by a test
  }
}

/** Collects the command lines of every process of the machine, many times a second, until it is stopped. */
export class CommandLines {
  readonly #seen = new Set<string>();
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.#look(), 50).unref();
  }

  /** Stops, after a last look, and returns each command line once; arguments are separated by NUL. */
  stop(): string[] {
    clearInterval(this.#timer);
    this.#look();
    return [...this.#seen];
  }

  #look(): void {
    let pids: string[];
    try {
      pids = readdirSync("/proc");
    } catch {
      return; // no such thing on this system: the other places are searched all the same
    }
    for (const pid of pids) {
      if (!/^\d+$/.test(pid)) continue;
      try {
        this.#seen.add(readFileSync(`/proc/${pid}/cmdline`, "latin1"));
      } catch {
        // It has ended.
      }
    }
  }
}
