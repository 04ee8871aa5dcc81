import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dockerIgnore, readDockerIgnore } from "../../src/app/docker-ignore.ts";
import { collectIncluded } from "../../src/app/include.ts";
import { failureOf, temporaryDirectory } from "./helpers.ts";

const kept = (text: string, ...paths: string[]) => paths.filter((path) => !dockerIgnore(text)(path));

describe("dockerIgnore", () => {
  it.each([
    ["a.txt", ["a.txt", "b/a.txt", "a.txt2"], ["b/a.txt", "a.txt2"]],
    ["/a.txt", ["a.txt", "b/a.txt"], ["b/a.txt"]],
    ["*.md", ["a.md", "b/a.md", ".md"], ["b/a.md"]],
    ["**/*.md", ["a.md", "b/c/a.md", "a.mdx"], ["a.mdx"]],
    ["*/temp*", ["x/temporary.txt", "temp", "x/y/temp"], ["temp", "x/y/temp"]],
    ["te?t", ["test", "te/t", "tet"], ["te/t", "tet"]],
    ["[a-c]x", ["ax", "cx", "dx"], ["dx"]],
    ["[^a]x", ["ax", "bx"], ["ax"]],
    ["\\*", ["*", "a"], ["a"]],
    ["dir", ["dir/a", "dir/b/c", "dirty"], ["dirty"]],
    ["dir/", ["dir/a"], []],
    ["dir/**", ["dir/a", "dir/b/c", "other"], ["other"]],
    ["**/dir", ["dir/a", "x/dir/a", "x/dir2"], ["x/dir2"]],
    ["./a/../b", ["b", "a"], ["a"]],
    ["a.b", ["a.b", "aXb"], ["aXb"]],
    ["a(b)+{c}|d", ["a(b)+{c}|d", "ab"], ["ab"]],
    ["# note\n\n  \n", ["# note", "a"], ["# note", "a"]],
    ["*\n!keep.txt", ["a", "keep.txt"], ["keep.txt"]],
    ["dir\n!dir/keep", ["dir/a", "dir/keep"], ["dir/keep"]],
    ["*.md\n!READ*.md\nREADME-secret.md", ["a.md", "README.md", "README-secret.md"], ["README.md"]],
    ["!a", ["a"], ["a"]],
    [" spaced \r\nb\r\n", ["spaced", "b", "c"], ["c"]],
    [".", ["a"], ["a"]],
  ])("%j", (text, paths, left) => {
    expect(kept(text, ...paths)).toEqual(left);
  });

  it("names every line that is no pattern", async () => {
    const error = await failureOf(() => dockerIgnore("ok\n[a\n!\n[z-a]"));
    expect(error).toMatchObject({ code: "INVALID_DOCKERIGNORE", exit: 2 });
    expect(error.faults.map(({ path }) => path)).toEqual([".dockerignore:2", ".dockerignore:3", ".dockerignore:4"]);
  });
});

describe("files to copy", () => {
  let root: string;
  let remove: () => Promise<void>;
  beforeAll(async () => {
    ({ dir: root, remove } = await temporaryDirectory());
    await mkdir(join(root, "assets/deep"), { recursive: true });
    for (const file of ["assets/a.txt", "assets/a.log", "assets/deep/b.log", "assets/deep/c.txt"])
      await writeFile(join(root, file), file);
  });
  afterAll(() => remove());

  const copy = async (...globs: string[]) => {
    const ignored = await readDockerIgnore(root);
    const options = { field: "containerImage.copy", code: "INVALID_COPY", ignored };
    return collectIncluded(root, globs, options);
  };

  it("are all of them without a .dockerignore, and then without what that names", async () => {
    expect((await copy("assets")).map(({ path }) => path)).toHaveLength(4);
    await writeFile(join(root, ".dockerignore"), "**/*.log\n");
    expect((await copy("assets")).map(({ path }) => path)).toEqual(["assets/a.txt", "assets/deep/c.txt"]);
  });

  it("are missed by name when .dockerignore leaves all of them out", async () => {
    await writeFile(join(root, ".dockerignore"), "**/*.log\n");
    const error = await failureOf(copy("assets/*.log", "nothing", "assets/*.txt"));
    expect(error.code).toBe("INVALID_COPY");
    expect(error.faults.map(({ path, message }) => `${path} ${message}`)).toEqual([
      'containerImage.copy[0] "assets/*.log" matches only files that .dockerignore excludes',
      'containerImage.copy[1] "nothing" matches no file',
    ]);
  });

  it("are not shipped under the name of a link, either", async () => {
    await writeFile(join(root, ".dockerignore"), "**/*.log\n");
    const before = (await copy("assets")).map(({ path }) => path);
    await symlink("a.log", join(root, "assets/plain.txt"));
    expect((await copy("assets")).map(({ path }) => path)).toEqual(before);
    await rm(join(root, "assets/plain.txt"));
  });

  it("need a .dockerignore that can be read", async () => {
    const other = join(root, "other");
    await mkdir(join(other, ".dockerignore"), { recursive: true });
    expect((await failureOf(readDockerIgnore(other))).code).toBe("INVALID_DOCKERIGNORE");
  });
});
