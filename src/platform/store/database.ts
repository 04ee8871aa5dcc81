import { chmodSync, copyFileSync, rmSync } from "node:fs";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { diskError } from "../../core/disk-error.ts";
import { AppctlError, ExitCode, messageOf } from "../../core/errors.ts";
import { moveDurably } from "../../core/write-durably.ts";
import { databaseError } from "./database-error.ts";
import { MIGRATIONS } from "./migrations.ts";

/**
 * The platform's SQLite database: WAL, every commit on disk before it is acknowledged, prepared statements kept. One
 * process has it open; calls are synchronous and take microseconds, but for the disk's own flush.
 */
export class Database {
  readonly #db: DatabaseSync;
  readonly #file: string;
  readonly #statements = new Map<string, StatementSync>();

  /**
   * Opens `file`, makes it when there is none, and brings its schema up to date. Before that a file of an older schema is copied
   * to `<file>.v<version>`, which is kept.
   */
  constructor(file: string, migrations: readonly string[] = MIGRATIONS) {
    this.#file = file;
    this.#db = this.#naming(() => new DatabaseSync(file));
    this.#naming(() => {
      this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
      this.#migrate(file, migrations);
    });
  }

  /**
   * Damaged tables, each with its damage: the platform reports it when it starts, and not only at a request
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

  #migrate(file: string, migrations: readonly string[]): void {
    const { user_version: existing } = this.#db.prepare("PRAGMA user_version").get() as { user_version: number };
    if (existing > migrations.length) {
      throw new AppctlError({
        code: "DATABASE_NEWER",
        exit: ExitCode.unavailable,
        message: `${file} was written by a newer appctl (schema ${existing}; this version has ${migrations.length})`,
        hint: "use that version, or a newer one",
      });
    }
    if (existing === migrations.length) return;
    if (existing > 0) this.#copyTo(`${file}.v${existing}`);
    this.transaction(() => {
      for (const migration of migrations.slice(existing)) this.#db.exec(migration);
      this.#db.exec(`PRAGMA user_version = ${migrations.length}`);
    });
  }

  /**
   * Copies the file byte by byte (0600), damaged pages included. The copy replaces an older one when it is whole and on disk.
   * Throws DISK_FULL and the like, and leaves nothing then.
   */
  #copyTo(file: string): void {
    const { busy } = this.#db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as { busy: number };
    if (busy !== 0) throw new Error(`another process reads ${this.#file}`);
    const temporary = `${file}.new`;
    try {
      copyFileSync(this.#file, temporary);
      chmodSync(temporary, 0o600);
      moveDurably(temporary, file);
    } catch (error) {
      rmSync(temporary, { force: true, recursive: true });
      throw diskError(error, file);
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
