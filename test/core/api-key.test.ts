import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { apiKeyHint, formatApiKey, parseApiKey } from "../../src/core/api-key.ts";

const endpoint = "http://localhost:7654";

describe("API keys", () => {
  it("carry 256 bits and the endpoint, behind a recognisable prefix", () => {
    const secret = new Uint8Array(randomBytes(32));
    const key = formatApiKey({ endpoint, secret });
    expect(key).toMatch(/^appctl_[A-Za-z0-9_-]+$/);
    expect(parseApiKey(key)).toEqual({ endpoint, secret });
    expect(parseApiKey(`  ${key}\n`)).toEqual({ endpoint, secret });
  });

  it("are refused when any one character is changed, missing or added", () => {
    const key = formatApiKey({ endpoint, secret: randomBytes(32) });
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    fc.assert(
      fc.property(fc.nat(key.length - 1), fc.constantFrom(...alphabet), (at, letter) => {
        fc.pre(key[at] !== letter && at < key.length - 1); // the last character has bits that stand for nothing
        expect(parseApiKey(key.slice(0, at) + letter + key.slice(at + 1))).toBeUndefined();
        expect(parseApiKey(key.slice(0, at) + key.slice(at + 1))).toBeUndefined();
      }),
    );
    for (const text of ["", "appctl_", "ghp_abc", `${key}AAAA`, `x${key}`]) expect(parseApiKey(text)).toBeUndefined();
  });

  it("are refused when the endpoint inside is not an origin", () => {
    for (const bad of ["ftp://host", "localhost:7654", "http://host/path"]) {
      expect(parseApiKey(formatApiKey({ endpoint: bad, secret: randomBytes(32) }))).toBeUndefined();
    }
  });

  it("show a hint that tells two keys apart and little else", () => {
    const key = formatApiKey({ endpoint, secret: randomBytes(32) });
    expect(apiKeyHint(key)).toHaveLength("appctl_".length + 6);
    expect(key.startsWith(apiKeyHint(key).slice(0, -1))).toBe(true);
  });
});
