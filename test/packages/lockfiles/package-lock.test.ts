import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../../src/oci/model.ts";
import { type LockEntry, lockIdentity } from "../../../src/packages/lockfiles/package-lock.ts";

const identity = (entry: LockEntry) =>
  canonicalJson(
    lockIdentity({
      name: "test",
      lockfileVersion: 3,
      requires: true,
      packages: { "": {}, "node_modules/a": { version: "1.0.0", ...entry } },
    }),
  );

describe("what decides the bytes of a lock", () => {
  const integrity = "sha512-AAAA";

  it("is the integrity where there is one, and not the address", () => {
    const one = identity({ integrity, resolved: "https://a.test/a/-/a-1.0.0.tgz" });
    expect(identity({ integrity, resolved: "https://mirror.test/a-1.0.0.tgz" })).toBe(one);
    expect(identity({ integrity })).toBe(one);
    expect(identity({ integrity: "sha512-BBBB" })).not.toBe(one);
    expect(one).toBe('[{"integrity":"sha512-AAAA","path":"node_modules/a","version":"1.0.0"}]');
  });

  it("is the address where there is none", () => {
    const one = identity({ resolved: "https://a.test/one.tgz" });
    expect(identity({ resolved: "https://a.test/two.tgz" })).not.toBe(one);
    expect(identity({ resolved: "https://a.test/one.tgz#1" })).not.toBe(one);
    expect(identity({})).not.toBe(one);
  });

  it("is the commit of a git dependency, however that is fetched", () => {
    const [first, second] = ["1".repeat(40), "2".repeat(40)];
    const one = identity({ resolved: `git+ssh://git@a.test/a.git#${first}` });
    expect(identity({ resolved: `git+https://a.test/a.git#${first}` })).toBe(one);
    expect(identity({ resolved: `git+ssh://git@a.test/a.git#${second}` })).not.toBe(one);
  });
});
