import { createHash, randomBytes } from "node:crypto";
import { LIMITS } from "../../contract/limits.ts";

/** How long a one-time link works, and how long a session lasts, in milliseconds. */
const LINK_MS = LIMITS.consoleLinkSeconds.value * 1000;
const SESSION_MS = LIMITS.consoleSessionHours.value * 3_600_000;
/** More than anybody needs; the oldest go first. */
const MOST = 1000;

interface Entry {
  key: string;
  path: string;
  expires: number;
}

/** Console sign-ins: one-time links and browser sessions. Only hashes of tokens are held, in memory; a restart ends them. */
export class ConsoleSessions {
  readonly #links = new Map<string, Entry>();
  readonly #sessions = new Map<string, Entry>();
  readonly #now: () => Date;
  readonly #isValid: (key: string) => boolean;

  /** A session lives no longer than the key that it was opened with: `isValid` tells of a key's id. */
  constructor(now: () => Date, isValid: (key: string) => boolean) {
    this.#now = now;
    this.#isValid = isValid;
  }

  /** A link for one sign-in, on behalf of the API key of that id; it leads to `path`. */
  createLink(key: string, path: string): { token: string; expiresAt: Date } {
    const expires = this.#now().getTime() + LINK_MS;
    return { token: remember(this.#links, { key, path, expires }), expiresAt: new Date(expires) };
  }

  /** Uses a link up. */
  redeemLink(token: string): { key: string; path: string } | undefined {
    const hash = hashOf(token);
    const link = this.#alive(this.#links, hash);
    this.#links.delete(hash);
    return link;
  }

  /** Opens a session; the token goes into the browser's cookie. */
  open(key: string): { token: string; maxAgeSeconds: number } {
    const expires = this.#now().getTime() + SESSION_MS;
    return { token: remember(this.#sessions, { key, path: "", expires }), maxAgeSeconds: SESSION_MS / 1000 };
  }

  /** Id of the API key that the session was opened with, or undefined when there is no such session any more. */
  keyOf(token: string): string | undefined {
    return this.#alive(this.#sessions, hashOf(token))?.key;
  }

  /** Ends a session. */
  close(token: string): void {
    this.#sessions.delete(hashOf(token));
  }

  #alive(entries: Map<string, Entry>, hash: string): Entry | undefined {
    const entry = entries.get(hash);
    if (entry && entry.expires > this.#now().getTime() && this.#isValid(entry.key)) return entry;
    entries.delete(hash);
    return undefined;
  }
}

function remember(entries: Map<string, Entry>, entry: Entry): string {
  const token = randomBytes(32).toString("base64url");
  entries.set(hashOf(token), entry);
  if (entries.size > MOST) entries.delete(entries.keys().next().value as string);
  return token;
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
