import { describe, expect, it } from "vitest";
import type { LockedProject } from "../../../src/packages/lockfiles/lock-graph.ts";
import { readLock } from "../../../src/packages/lockfiles/read-lock.ts";

/** What Yarn 1 writes for `**\/tree/leaf` at 1.0.0, and for `*\/leaf`: for whom it is, is not in it. */
const SEVERAL = `# yarn lockfile v1

"@corp/host@1":
  version "1.0.0"
  dependencies:
    "@corp/leaf" "^1.0.0"
    leaf "^1.0.0"

"@corp/leaf@2.0.0", "@corp/leaf@^1.0.0":
  version "2.0.0"

leaf@1.0.0:
  version "1.0.0"

leaf@^1.0.0, leaf@~1.1.0:
  version "1.1.0"

leaf@^2.0.0:
  version "2.0.0"

tree@1:
  version "1.0.0"
  dependencies:
    leaf "^1.0.0"
`;
const DEPENDENCIES = { "@corp/host": "1", leaf: "^2.0.0", tree: "1" };

async function translate(resolutions: Record<string, string>, dependencies: LockedProject["dependencies"]) {
  return readLock("yarn.lock", SEVERAL, { dependencies, resolutions } as LockedProject, "yarn.lock");
}

/** Version by path. */
async function versions(resolutions: Record<string, string>) {
  const translated = await translate(resolutions, DEPENDENCIES);
  if (!translated.resolved) throw new Error(translated.faults.map(({ message }) => message).join("\n"));
  const { packages } = translated.resolved.lock;
  return Object.fromEntries(Object.entries(packages).map(([path, { version }]) => [path, version]));
}

describe("resolutions of Yarn 1", () => {
  it.each(["leaf", "**/leaf"])("hold for all but package.json's own: %s", async (pattern) => {
    expect(await versions({ [pattern]: "1.0.0" })).toEqual({
      "": undefined,
      "node_modules/@corp/host": "1.0.0",
      "node_modules/@corp/host/node_modules/leaf": "1.0.0",
      "node_modules/@corp/leaf": "2.0.0",
      "node_modules/leaf": "2.0.0",
      "node_modules/tree": "1.0.0",
      "node_modules/tree/node_modules/leaf": "1.0.0",
    });
  });

  it.each(["tree/leaf", "**/tree/leaf", "@corp/host/leaf", "tree/**/leaf", "*/leaf"])(
    "are refused by name with a path where the lock has several versions: %s",
    async (pattern) => {
      const { faults } = await translate({ [pattern]: "1.0.0" }, DEPENDENCIES);
      expect(faults).toEqual([
        {
          path: "containerImage.requirements",
          message: `the resolutions of package.json have ${pattern} at 1.0.0, and yarn.lock, which has leaf 1.0.0 and 1.1.0 and 2.0.0, does not say who gets it`,
          hint: 'Give all the same: "resolutions": { "leaf": "1.0.0" }.',
        },
      ]);
    },
  );

  it("hold with a path where the lock has one version, also of a package with a scope", async () => {
    for (const pattern of ["@corp/host/@corp/leaf", "**/@corp/host/**/@corp/leaf", "@corp/leaf", "**/@corp/leaf"])
      expect(await versions({ [pattern]: "2.0.0" })).toMatchObject({ "node_modules/@corp/leaf": "2.0.0" });
  });

  it("of packages that nobody needs are nothing to refuse", async () => {
    expect(await versions({ "tree/other": "1.0.0", unknown: "2.0.0" })).toMatchObject({ "node_modules/leaf": "2.0.0" });
  });

  it.each(["leaf", "**/leaf", "@corp/leaf", "@corp/host/@corp/leaf"])(
    "are a fault where the lock is older than they are: %s",
    async (pattern) => {
      const { faults } = await translate({ [pattern]: "3.0.0" }, DEPENDENCIES);
      expect(faults).toHaveLength(1);
      expect(faults[0]?.message).toMatch(
        /^the resolutions of package\.json ask for .*leaf 3\.0\.0, and yarn\.lock has it for .* alone$/,
      );
    },
  );
});
