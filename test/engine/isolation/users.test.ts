import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { UserBook } from "../../../src/engine/local/process/isolation/user-book.ts";
import { userAt, userRange } from "../../../src/engine/local/process/isolation/user-range.ts";
import { temporaryDirectory } from "../helpers.ts";

const whole = "         0          0 4294967295\n";
const container = "         0     100000      65536\n";
const app = (name: string) => ({ project: "default", domain: "development", name });

describe("the range of users of a platform", () => {
  it("is its own, far above people, services and containers", () => {
    const first = userRange("/a", whole);
    expect(first).toEqual(userRange("/a", whole));
    expect(first).not.toEqual(userRange("/b", whole));
    expect(first?.first).toBeGreaterThanOrEqual(0x7000_0000);
    expect((first?.first ?? 0) + (first?.count ?? 0)).toBeLessThan(2 ** 31);
    expect(userAt({ first: 1000, count: 10 }, 3)).toEqual({ uid: 1003, gid: 1003 });
  });

  it("is the one of short-lived services in a container, and none where there is no room", () => {
    const range = userRange("/a", container);
    expect(range?.first).toBeGreaterThanOrEqual(61_184);
    expect((range?.first ?? 0) + (range?.count ?? 0)).toBeLessThanOrEqual(65_520);
    expect(userRange("/a", "         0       1000          1\n")).toBeUndefined();
    expect(userRange("/a", "")).toBeUndefined();
  });
});

describe("the book of users", () => {
  it("gives each app a number, keeps it over restarts, and hands it out again only when all were", () => {
    const file = join(temporaryDirectory(), "users.json");
    const book = new UserBook(file, 3);
    expect(["a", "b", "a"].map((name) => book.numberOf(app(name)))).toEqual([0, 1, 0]);
    expect(book.remove(app("a"))).toBe(0);
    expect(book.remove(app("a"))).toBeUndefined();
    const later = new UserBook(file, 3);
    expect(["b", "c", "d"].map((name) => later.numberOf(app(name)))).toEqual([1, 2, 0]);
    expect(() => later.numberOf(app("e"))).toThrow("all 3 users for apps are taken");
    expect(JSON.parse(readFileSync(file, "utf8")).numbers).toEqual({
      "default/development/b": 1,
      "default/development/c": 2,
      "default/development/d": 0,
    });
  });

  it("does not start again over a file that cannot be read", () => {
    const file = join(temporaryDirectory(), "users.json");
    writeFileSync(file, "{");
    expect(() => new UserBook(file, 3)).toThrow();
  });
});
