import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { AppctlError, ExitCode, messageOf } from "../../core/errors.ts";
import { databaseError } from "./database-error.ts";

/** Each entry brings the schema one version up. They are never changed once released, only added to. */
const MIGRATIONS = [
  `
  CREATE TABLE apps (
    id INTEGER PRIMARY KEY,
    project TEXT NOT NULL, domain TEXT NOT NULL, name TEXT NOT NULL,
    subdomain TEXT NOT NULL UNIQUE,
    current_revision TEXT,
    stopped INTEGER NOT NULL DEFAULT 0,
    deleting INTEGER NOT NULL DEFAULT 0,
    next_revision INTEGER NOT NULL DEFAULT 1,
    next_deployment INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    UNIQUE (project, domain, name)
  ) STRICT;

  CREATE TABLE revisions (
    app_id INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    image TEXT NOT NULL, digest TEXT NOT NULL,
    secrets TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('Pending', 'Ready', 'Failed')),
    created_at TEXT NOT NULL,
    PRIMARY KEY (app_id, name)
  ) STRICT;

  CREATE TABLE deployments (
    app_id INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    id INTEGER NOT NULL,
    revision TEXT NOT NULL,
    unchanged INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'succeeded', 'failed')),
    idempotency_key TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (app_id, id)
  ) STRICT;
  CREATE INDEX open_deployments ON deployments (app_id, id) WHERE state = 'open';

  CREATE TABLE events (
    app_id INTEGER NOT NULL, deployment INTEGER NOT NULL, seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (app_id, deployment, seq),
    FOREIGN KEY (app_id, deployment) REFERENCES deployments (app_id, id) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE secrets (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL, scope TEXT NOT NULL, project TEXT NOT NULL, domain TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    UNIQUE (name, scope, project, domain)
  ) STRICT;

  CREATE TABLE secret_versions (
    secret_id TEXT NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    nonce BLOB NOT NULL, ciphertext BLOB NOT NULL, tag BLOB NOT NULL,
    bytes INTEGER NOT NULL, binary INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (secret_id, version)
  ) STRICT;

  CREATE TABLE api_keys (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    created_at TEXT NOT NULL, last_used_at TEXT
  ) STRICT;
  `,
];

/**
 * The platform's SQLite database: WAL, every commit on disk before it is acknowledged, prepared statements kept. One
 * process has it open; calls are synchronous and take microseconds, but for the disk's own flush.
 */
export class Database {
  readonly #db: DatabaseSync;
  readonly #file: string;
  readonly #statements = new Map<string, StatementSync>();

  /** Opens `file`, makes it when there is none, and brings its schema up to date. */
  constructor(file: string) {
    this.#file = file;
    this.#db = this.#naming(() => new DatabaseSync(file));
    this.#naming(() => {
      this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
      this.#migrate(file);
    });
  }

  /**
   * Tables that are damaged, each with what is wrong: it is told when the platform starts, and not only when somebody asks
   * for what is gone. Reads the whole file.
   */
  damage(): { table: string; finding: string }[] {
    const tables = this.all<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'");
    return tables.flatMap(({ name }) => {
      const [finding] = this.#check(name);
      return finding === undefined ? [] : [{ table: name, finding }];
    });
  }

  #check(table: string): string[] {
    try {
      const rows = this.#db.prepare(`PRAGMA quick_check("${table}")`).all() as { quick_check: string }[];
      return rows
        .flatMap((row) => row.quick_check.split("\n"))
        .filter((line) => line !== "ok" && !line.startsWith("***"));
    } catch (error) {
      return [messageOf(error)];
    }
  }

  #migrate(file: string): void {
    const row = this.#db.prepare("PRAGMA user_version").get() as { user_version: number };
    if (row.user_version > MIGRATIONS.length) {
      throw new AppctlError({
        code: "DATABASE_NEWER",
        exit: ExitCode.unavailable,
        message: `${file} was written by a newer appctl (schema ${row.user_version}, this one knows ${MIGRATIONS.length})`,
        hint: "use that version, or a newer one",
      });
    }
    for (let version = row.user_version; version < MIGRATIONS.length; version++) {
      this.transaction(() => {
        this.#db.exec(MIGRATIONS[version] as string);
        this.#db.exec(`PRAGMA user_version = ${version + 1}`);
      });
    }
  }

  /** Every row of a query. */
  all<T>(sql: string, ...values: SQLInputValue[]): T[] {
    return this.#naming(() => this.#prepare(sql).all(...values) as T[]);
  }

  /** The first row of a query, or undefined. */
  get<T>(sql: string, ...values: SQLInputValue[]): T | undefined {
    return this.#naming(() => this.#prepare(sql).get(...values) as T | undefined);
  }

  /** Runs a statement; returns the number of changed rows. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return this.#naming(() => Number(this.#prepare(sql).run(...values).changes));
  }

  /** Runs `work` in one transaction: all of it is on disk when this returns, or, when it throws, none of it. */
  transaction<T>(work: () => T): T {
    if (this.#db.isTransaction) return work();
    return this.#naming(() => {
      this.#db.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        this.#db.exec("COMMIT");
        return result;
      } catch (error) {
        // SQLite itself goes back when the disk is full; a second time would hide why.
        if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
        throw error;
      }
    });
  }

  close(): void {
    this.#db.close();
  }

  /** Runs `work`; what SQLite throws then says which file it is about and what to do. */
  #naming<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw databaseError(error, this.#file);
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
