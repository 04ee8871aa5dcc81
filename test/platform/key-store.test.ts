import { expect, it } from "vitest";
import { KeyStore } from "../../src/platform/keys/key-store.ts";
import { Database } from "../../src/platform/store/database.ts";

const endpoint = "http://localhost:7654";

it("keeps only hashes, verifies in memory, revokes at once and records the last use", () => {
  const db = new Database(":memory:");
  let now = new Date("2030-01-01T00:00:00Z");
  const keys = new KeyStore(db, () => now);
  const { key, info } = keys.create("CI", endpoint);
  expect(info).toEqual({ name: "CI", kind: "admin", hint: info.hint, createdAt: now.toISOString(), lastUsedAt: null });
  expect(JSON.stringify(db.all("SELECT * FROM api_keys"))).not.toContain(key.reveal().slice(12));

  expect(keys.verify(undefined)).toBeUndefined();
  expect(keys.verify(key.reveal())).toBeUndefined();
  expect(keys.verify(`Basic ${key.reveal()}`)).toBeUndefined();
  now = new Date("2030-01-02T00:00:00Z");
  expect(keys.verify(`bearer ${key.reveal()}`)).toMatchObject({ name: "CI", kind: "admin" });
  expect(keys.get("CI").lastUsedAt).toBe(now.toISOString());
  keys.flush();

  const afterRestart = new KeyStore(db, () => now);
  expect(afterRestart.get("CI").lastUsedAt).toBe(now.toISOString());
  expect(afterRestart.verifyKey(key.reveal())).toBeDefined();
  const { id } = afterRestart.verifyKey(key.reveal()) ?? { id: "" };
  expect(afterRestart.isValid(id)).toBe(true);
  afterRestart.delete("CI");
  // What was opened with the key ends with it, also when a new one takes its name.
  afterRestart.create("CI", endpoint);
  expect(afterRestart.isValid(id)).toBe(false);
  afterRestart.delete("CI");
  expect(afterRestart.verifyKey(key.reveal())).toBeUndefined();
  expect(new KeyStore(db, () => now).list()).toEqual([]);
  expect(() => afterRestart.delete("CI")).toThrow("does not exist");
});

it("refuses a name that is taken", () => {
  const keys = new KeyStore(new Database(":memory:"), () => new Date());
  const first = keys.create("CI", endpoint);
  expect(() => keys.create("CI", endpoint)).toThrow("already exists");
  expect(keys.verifyKey(first.key.reveal())).toBeDefined();
});
