import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { EventLog } from "../../../src/platform/apps/event-log.ts";
import { KeyStore } from "../../../src/platform/keys/key-store.ts";
import { SecretStore } from "../../../src/platform/secrets/secret-store.ts";
import { AppStore } from "../../../src/platform/store/app-store.ts";
import { Database } from "../../../src/platform/store/database.ts";
import { MIGRATIONS } from "../../../src/platform/store/migrations.ts";
import { temporaryDirectory } from "../../engine/helpers.ts";
import { MASTER_KEY } from "./record.ts";

/** The first digits of each migration's SHA-256. One that was released is never changed: add another, and its line here. */
const RELEASED = ["31c8d41cc354e930"];

const now = () => new Date();
const web = { project: "default", domain: "development", name: "web" };

/** A copy of a recorded database, in a folder of the test's own. */
function recorded(version: number): string {
  const file = join(temporaryDirectory(), "platform.db");
  copyFileSync(join(import.meta.dirname, `v${version}.db`), file);
  return file;
}

const versionOf = (file: string) => {
  const db = new DatabaseSync(file, { readOnly: true });
  const { user_version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  db.close();
  return user_version;
};

it("released migrations are never changed, and each has a database that its code wrote", () => {
  const digests = MIGRATIONS.map((text) => createHash("sha256").update(text).digest("hex").slice(0, 16));
  expect(digests).toEqual(RELEASED);
  const databases = readdirSync(import.meta.dirname).filter((file) => file.endsWith(".db"));
  expect(databases.sort()).toEqual(MIGRATIONS.map((_, index) => `v${index + 1}.db`));
});

describe.each(MIGRATIONS.map((_, index) => index + 1))("a database of schema %i", (version) => {
  it("opens with all that was in it", async () => {
    const file = recorded(version);
    const db = new Database(file);
    const apps = new AppStore(db, now);
    const app = apps.find(web);
    expect(app).toMatchObject({ subdomain: "calm-sea-00000", currentRevision: "web-00001", stopped: false });
    const [revision] = apps.revisions(app?.id ?? 0);
    expect(revision).toMatchObject({ name: "web-00001", state: "Ready", image: "web-image:1" });
    const secrets = new SecretStore(db, MASTER_KEY, now);
    const [pinned] = revision?.secrets ?? [];
    const values = [pinned?.version ?? 0, 2].map((each) =>
      secrets
        .read(pinned?.id ?? "", each)
        .reveal()
        .toString(),
    );
    expect(values).toEqual(["first value", "second value"]);
    const deployment = apps.deployment(app?.id ?? 0, 1);
    expect(deployment?.state).toBe("succeeded");
    const events = deployment && (await new EventLog(apps).read(deployment, 0, 0, new AbortController().signal));
    expect(events).toMatchObject([{ seq: 1, message: "App is pending deployment" }]);
    expect(new KeyStore(db, now).list().map(({ name }) => name)).toEqual(["ci"]);
    db.close();
    expect(versionOf(file)).toBe(MIGRATIONS.length);
    expect(existsSync(`${file}.v${version}`)).toBe(version < MIGRATIONS.length);
  });
});

describe("a migration", () => {
  const next = [...MIGRATIONS, "ALTER TABLE apps ADD COLUMN note TEXT; UPDATE apps SET note = 'migrated';"];
  const previous = MIGRATIONS.length;

  it("keeps a copy of the file as it was, for its user alone", () => {
    const file = recorded(previous);
    // What was written last is still in the write-ahead log.
    const writer = new Database(file);
    writer.run("UPDATE apps SET stopped = 1");
    const db = new Database(file, next);
    expect(db.get("SELECT stopped, note FROM apps")).toEqual({ stopped: 1, note: "migrated" });
    db.close();
    writer.close();
    const copy = `${file}.v${previous}`;
    expect([versionOf(file), versionOf(copy)]).toEqual([next.length, previous]);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const before = new Database(copy);
    expect(before.get("SELECT * FROM apps")).not.toHaveProperty("note");
    expect(before.get("SELECT stopped FROM apps")).toEqual({ stopped: 1 });
    before.close();
    expect(readdirSync(join(file, "..")).filter((name) => name.endsWith(".new"))).toEqual([]);
  });

  it("copies damaged pages too: the platform reports them, and serves what it can", () => {
    const file = recorded(previous);
    const db = new DatabaseSync(file);
    const { rootpage } = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'events'").get() as {
      rootpage: number;
    };
    const { page_size } = db.prepare("PRAGMA page_size").get() as { page_size: number };
    db.close();
    const bytes = readFileSync(file);
    bytes.fill(0xa5, (rootpage - 1) * page_size, rootpage * page_size);
    writeFileSync(file, bytes);
    const migrated = new Database(file, next);
    expect(migrated.damage().map(({ table }) => table)).toEqual(["events"]);
    expect(migrated.get("SELECT name, note FROM apps")).toEqual({ name: "web", note: "migrated" });
    migrated.close();
    expect(versionOf(`${file}.v${previous}`)).toBe(previous);
  });

  it("does not begin, and says why, when the copy cannot be written", () => {
    const file = recorded(previous);
    mkdirSync(`${file}.v${previous}.new`);
    expect(() => new Database(file, next)).toThrow(/platform\.db\.v1 cannot be written/);
    expect(versionOf(file)).toBe(previous);
  });

  it("that fails leaves the file as it was, and works the next time", () => {
    const file = recorded(previous);
    expect(() => new Database(file, [...next, "INSERT INTO nothing VALUES (1)"])).toThrow(/nothing/);
    expect(versionOf(file)).toBe(previous);
    const db = new Database(file, next);
    expect(db.get("SELECT note FROM apps")).toEqual({ note: "migrated" });
    db.close();
  });

  it("is none for a new file, or for one that is up to date", () => {
    const file = join(temporaryDirectory(), "platform.db");
    for (let time = 0; time < 2; time++) new Database(file, next).close();
    expect(readdirSync(join(file, ".."))).toEqual(["platform.db"]);
  });

  it("goes forward only: a file of a newer appctl is refused by name, and stays as it is", () => {
    const file = recorded(previous);
    new Database(file, next).close();
    const bytes = readFileSync(file);
    expect(() => new Database(file)).toThrow(`${file} was written by a newer appctl (schema ${next.length}`);
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });
});
