import { expect, it } from "vitest";
import type { ResolveRequest } from "../../src/contract/types.ts";
import { doTask } from "../../src/platform/builds/do-task.ts";
import { folder } from "../image/support.ts";

/** What a remote build makes of a lockfile with one package that has this address. */
async function answerTo(resolved: string) {
  const dir = await folder();
  const project = { dependencies: { x: "1" } };
  const entry = { version: "1.0.0", resolved, integrity: "sha512-x" };
  const lock = { name: "x", lockfileVersion: 3, packages: { "": project, "node_modules/x": entry } };
  const request: ResolveRequest = {
    packages: [],
    requirements: { file: "package-lock.json", text: JSON.stringify(lock), project },
  };
  const place = { imagesDir: dir, cacheDir: dir, env: {}, cwd: dir, signal: new AbortController().signal };
  return doTask({ type: "resolve", request }, place);
}

it.each(["git+file:///srv/x", "https://github.com/u/x.git", "file:../x"])(
  "a remote build refuses a package from %s",
  async (resolved) => {
    expect(await answerTo(resolved)).toMatchObject({
      type: "failed",
      code: "INVALID_REQUIREMENTS",
      faults: [{ path: "containerImage.requirements" }],
    });
  },
);
