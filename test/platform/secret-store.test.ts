import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Redacted } from "../../src/core/redacted.ts";
import { SecretStore } from "../../src/platform/secrets/secret-store.ts";
import { Database } from "../../src/platform/store/database.ts";
import { temporaryDirectory } from "../engine/helpers.ts";

const here = { project: "default", domain: "development" };
const there = { project: "other", domain: "development" };
const production = { project: "default", domain: "production" };
const bytes = (text: string) => new Redacted(Buffer.from(text));

let dir: string;
let db: Database;
let masterKey: Redacted<Buffer>;
let secrets: SecretStore;

beforeEach(() => {
  dir = temporaryDirectory();
  db = new Database(join(dir, "platform.db"));
  masterKey = new Redacted(randomBytes(32));
  secrets = new SecretStore(db, masterKey, () => new Date());
});
afterEach(() => db.close());

const read = (place: typeof here, key: string) => {
  const { pinned } = secrets.pin(place, [{ key, envVar: key, mount: "env" }]);
  return pinned.map(({ id, version }) => secrets.read(id, version).reveal().toString());
};

describe("secrets", () => {
  it("are seen in the narrowest scope first", () => {
    secrets.create(here, "KEY", "organization", bytes("everywhere"), false);
    expect(read(there, "KEY")).toEqual(["everywhere"]);
    secrets.create(here, "KEY", "domain", bytes("in development"), false);
    expect(read(there, "KEY")).toEqual(["in development"]);
    expect(read(production, "KEY")).toEqual(["everywhere"]);
    secrets.create(here, "KEY", "project", bytes("in default"), false);
    expect(read(here, "KEY")).toEqual(["in default"]);
    expect(read(there, "KEY")).toEqual(["in development"]);
    secrets.delete(here, "KEY");
    expect(read(here, "KEY")).toEqual(["in development"]);
  });

  it("keep every version for the revisions that are pinned to it", () => {
    secrets.create(here, "KEY", "project", bytes("one"), false);
    const [first] = secrets.pin(here, [{ key: "KEY", envVar: "KEY", mount: "env" }]).pinned;
    expect(secrets.update(here, "KEY", "project", bytes("two"), false).version).toBe(2);
    expect(
      secrets
        .read(first?.id ?? "", 1)
        .reveal()
        .toString(),
    ).toBe("one");
    expect(read(here, "KEY")).toEqual(["two"]);
  });

  it("show a keyed fingerprint: equal for equal values, of no use without the platform's key", () => {
    const a = secrets.create(here, "A", "project", bytes("same"), false);
    const b = secrets.create(here, "B", "project", bytes("same"), false);
    const c = secrets.create(here, "C", "project", bytes("other"), false);
    expect(a.fingerprint).toBe(b.fingerprint);
    expect(a.fingerprint).not.toBe(c.fingerprint);
    const elsewhere = new SecretStore(new Database(":memory:"), new Redacted(randomBytes(32)), () => new Date());
    expect(elsewhere.create(here, "A", "project", bytes("same"), false).fingerprint).not.toBe(a.fingerprint);
  });

  it("are not in any file of the state directory", () => {
    const value = "a-very-recognisable-value-0123456789";
    secrets.create(here, "KEY", "project", bytes(value), false);
    for (const file of readdirSync(dir)) {
      const content = readFileSync(join(dir, file));
      expect(content.includes(value), file).toBe(false);
      expect(content.includes(Buffer.from(value).toString("base64")), file).toBe(false);
    }
  });

  it("do not decrypt under another key, nor when a row is exchanged for another", () => {
    secrets.create(here, "A", "project", bytes("value of A"), false);
    secrets.create(here, "B", "project", bytes("value of B"), false);
    const [a] = secrets.pin(here, [{ key: "A", envVar: "A", mount: "env" }]).pinned;
    const other = new SecretStore(db, new Redacted(randomBytes(32)), () => new Date());
    expect(() => other.read(a?.id ?? "", 1)).toThrow();
    db.run(
      `UPDATE secret_versions SET (nonce, ciphertext, tag) = (SELECT nonce, ciphertext, tag FROM secret_versions
       WHERE secret_id != ?) WHERE secret_id = ?`,
      ...[a?.id ?? "", a?.id ?? ""],
    );
    expect(() => secrets.read(a?.id ?? "", 1)).toThrow();
  });

  it("refuse what cannot be right, with the reason and the way out", () => {
    const create =
      (value: Buffer, binary = false) =>
      () =>
        secrets.create(here, "KEY", "project", new Redacted(value), binary);
    expect(create(Buffer.alloc(0))).toThrow("is empty");
    expect(create(Buffer.from("a\0b"))).toThrow("NUL");
    expect(create(Buffer.from([0xff, 0xfe]))).toThrow("not UTF-8");
    expect(create(Buffer.alloc(1024 * 1024 + 1, 65))).toThrow("1 MiB");
    expect(create(Buffer.from("a\0b"), true)()).toMatchObject({ bytes: 3 });
    expect(create(Buffer.from("again"))).toThrow("already exists");
    expect(() => secrets.update(here, "NONE", "project", bytes("x"), false)).toThrow("does not exist");
    expect(() => secrets.delete(here, "NONE")).toThrow("does not exist");
  });

  it("tell all that is missing and all that does not fit, together", () => {
    secrets.create(here, "BINARY", "project", new Redacted(Buffer.from([0, 1])), true);
    secrets.create(here, "LARGE", "project", bytes("x".repeat(200_000)), false);
    const env = (key: string) => ({ key, envVar: key, mount: "env" as const });
    const result = secrets.pin(here, [env("BINARY"), env("LARGE"), env("NONE"), env("NEITHER")]);
    expect(result.missing).toEqual(["NONE", "NEITHER"]);
    expect(result.unfit).toHaveLength(2);
    const asFile = secrets.pin(here, [{ key: "BINARY", envVar: "BINARY_FILE", mount: "file" }]);
    expect(asFile).toMatchObject({ missing: [], unfit: [] });
  });
});
