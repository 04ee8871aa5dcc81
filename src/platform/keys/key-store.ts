import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { ApiKeyInfo } from "../../contract/types.ts";
import { apiKeyHint, formatApiKey, parseApiKey } from "../../core/api-key.ts";
import { messageOf } from "../../core/errors.ts";
import { Redacted } from "../../core/redacted.ts";
import { notFound, ProblemError } from "../problem.ts";
import type { Database } from "../store/database.ts";

/** Name of the key that the CLI of the same user takes from a file. */
export const LOCAL_KEY = "local";

interface KeyRow {
  name: string;
  kind: "admin";
  hash: string;
  hint: string;
  created_at: string;
  last_used_at: string | null;
}

/** A key that a request carried. */
export interface Principal {
  /** Of this very key: a later key of the same name has another. */
  id: string;
  name: string;
  kind: "admin";
}

/**
 * API keys. Only SHA-256 of a key's 256 random bits is kept (that much randomness needs no slow hash), in memory too, since
 * the gateway asks for each request. The time of last use is written at most every few seconds.
 */
export class KeyStore {
  readonly #db: Database;
  readonly #now: () => Date;
  readonly #report: (message: string) => void;
  readonly #keys = new Map<string, KeyRow>();
  readonly #unwritten = new Set<KeyRow>();
  readonly #listeners = new Set<() => void>();
  #flush: NodeJS.Timeout | undefined;

  constructor(db: Database, now: () => Date, report: (message: string) => void = () => undefined) {
    this.#db = db;
    this.#now = now;
    this.#report = report;
    this.reload();
  }

  /** Reads the keys again: after a transaction around {@link KeyStore.create} that was undone. */
  reload(): void {
    this.#keys.clear();
    for (const row of this.#db.all<KeyRow>("SELECT * FROM api_keys")) this.#keys.set(row.hash, { ...row });
    this.#changed();
  }

  /** Calls `listener` after keys have come or gone. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** SHA-256 of each key's random bits, in hex. */
  hashes(): Set<string> {
    return new Set(this.#keys.keys());
  }

  /** Records the use of the key with that hash. */
  recordUse(hash: string): void {
    const row = this.#keys.get(hash);
    if (row) this.#use(row);
  }

  /** Makes a key; `endpoint` goes into it. The key is returned once and kept nowhere. */
  create(name: string, endpoint: string): { info: ApiKeyInfo; key: Redacted<string> } {
    const secret = randomBytes(32);
    const key = formatApiKey({ endpoint, secret });
    const row: KeyRow = {
      name,
      kind: "admin",
      hash: hashOf(secret),
      hint: apiKeyHint(key),
      created_at: this.#now().toISOString(),
      last_used_at: null,
    };
    this.#db.transaction(() => {
      if (this.#db.get("SELECT 1 FROM api_keys WHERE name = ?", name)) {
        throw new ProblemError("API_KEY_EXISTS", `API key ${name} already exists`, {
          hint: `a key is shown only once; to replace it, type appctl delete api-key ${name} and create it again`,
        });
      }
      this.#db.run(
        "INSERT INTO api_keys (name, kind, hash, hint, created_at) VALUES (?, ?, ?, ?, ?)",
        ...[row.name, row.kind, row.hash, row.hint, row.created_at],
      );
    });
    this.#keys.set(row.hash, row);
    this.#changed();
    return { info: infoOf(row), key: new Redacted(key) };
  }

  /** The key that `authorization` (`Bearer …`) carries, or undefined when it is none of ours. Records the use. */
  verify(authorization: string | undefined): Principal | undefined {
    const match = authorization === undefined ? null : /^Bearer +(\S+) *$/i.exec(authorization);
    return match ? this.verifyKey(match[1] as string) : undefined;
  }

  /** {@link KeyStore.verify} for the key alone. */
  verifyKey(key: string): Principal | undefined {
    const parts = parseApiKey(key);
    if (!parts) return undefined;
    const hash = hashOf(parts.secret);
    const row = this.#keys.get(hash);
    if (!row || !timingSafeEqual(Buffer.from(row.hash), Buffer.from(hash))) return undefined;
    this.#use(row);
    return { id: row.hash, name: row.name, kind: row.kind };
  }

  #use(row: KeyRow): void {
    row.last_used_at = this.#now().toISOString();
    this.#unwritten.add(row);
    this.#flush ??= setTimeout(() => this.#flushLater(), 3000).unref();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** True while the key of that id is valid: a console session lives no longer than its key. */
  isValid(id: string): boolean {
    return this.#keys.has(id);
  }

  /** True while a key of that name exists. */
  has(name: string): boolean {
    for (const row of this.#keys.values()) if (row.name === name) return true;
    return false;
  }

  list(): ApiKeyInfo[] {
    return [...this.#keys.values()].map(infoOf).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  get(name: string): ApiKeyInfo {
    const found = this.list().find((key) => key.name === name);
    if (!found) throw notFound(`API key ${name}`, `appctl create api-key admin --name ${name}`);
    return found;
  }

  /** Revokes a key: the next request with it is refused. */
  delete(name: string): void {
    if (name === LOCAL_KEY) {
      throw new ProblemError("LOCAL_KEY", `API key ${LOCAL_KEY} belongs to the local platform and cannot be deleted`);
    }
    this.replace(name);
  }

  /** Takes a key away without asking whose it is. */
  replace(name: string): void {
    this.get(name);
    this.#db.run("DELETE FROM api_keys WHERE name = ?", name);
    for (const [hash, row] of this.#keys) if (row.name === name) this.#keys.delete(hash);
    this.#changed();
  }

  /** A disk that is full must not end the platform over a time of last use: it is written with the next one. */
  #flushLater(): void {
    try {
      this.flush();
    } catch (error) {
      this.#report(`cannot store when API keys were last used: ${messageOf(error)}`);
    }
  }

  /** Writes the times of last use. */
  flush(): void {
    clearTimeout(this.#flush);
    this.#flush = undefined;
    if (this.#unwritten.size === 0) return;
    this.#db.transaction(() => {
      for (const row of this.#unwritten) {
        this.#db.run("UPDATE api_keys SET last_used_at = ? WHERE name = ?", row.last_used_at, row.name);
      }
    });
    this.#unwritten.clear();
  }
}

function hashOf(secret: Uint8Array): string {
  return createHash("sha256").update(secret).digest("hex");
}

function infoOf(row: KeyRow): ApiKeyInfo {
  return { name: row.name, kind: row.kind, hint: row.hint, createdAt: row.created_at, lastUsedAt: row.last_used_at };
}
