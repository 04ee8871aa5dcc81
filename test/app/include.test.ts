import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { collectIncluded } from "../../src/app/include.ts";
import { asOther, mayActAsOther } from "../support/other-user.ts";
import { failureOf, temporaryDirectory } from "./helpers.ts";

let root: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  const temporary = await temporaryDirectory();
  remove = temporary.remove;
  root = join(temporary.dir, "root");
  const files = [
    "public/a.html",
    "public/sub/b.css",
    "public/.well-known/x",
    "run.sh",
    "node_modules/p/i.js",
    ".git/HEAD",
    "odd [1]/c.txt",
  ];
  for (const file of [...files, "../outside.txt", "public/node_modules/q.js", "app.mjs"]) {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), file);
  }
  await chmod(join(root, "run.sh"), 0o775);
  await symlink("../outside.txt", join(root, "escape.txt"));
  await symlink("run.sh", join(root, "link.sh"));
});
afterAll(() => remove());

const paths = async (...globs: string[]) => (await collectIncluded(root, globs)).map(({ path }) => path);

it("takes files, globs and whole directories, sorted, each once", async () => {
  expect(await paths("public/**/*.css", "run.sh", "public")).toEqual([
    "public/.well-known/x",
    "public/a.html",
    "public/sub/b.css",
    "run.sh",
  ]);
  expect(await paths("public/**")).toEqual(["public/a.html", "public/sub/b.css"]);
  expect(await paths("./public/", "!public/sub")).toEqual(["public/.well-known/x", "public/a.html"]);
  expect(await paths("odd*")).toEqual(["odd [1]/c.txt"]);
  expect(await collectIncluded(root, [])).toEqual([]);
});

it("leaves node_modules and .git out unless a glob names them", async () => {
  const all = ["link.sh", "odd [1]/c.txt", "public/a.html", "public/sub/b.css", "run.sh"];
  expect(await paths("**", "!app.mjs", "!escape.txt")).toEqual(all);
  expect(await paths(".", "!app.mjs", "!escape.txt")).toEqual(all);
  expect(await paths("**/*", "!app.mjs", "!escape.txt")).toEqual([
    "link.sh",
    "odd [1]/c.txt",
    "public/.well-known/x",
    ...all.slice(2),
  ]);
  expect(await paths("node_modules/p")).toEqual(["node_modules/p/i.js"]);
});

it("keeps only whether a file can be executed, and follows links inside of the root", async () => {
  expect(await collectIncluded(root, ["run.sh", "link.sh", "public/a.html"])).toEqual([
    { path: "link.sh", absolute: join(root, "link.sh"), mode: 0o755 },
    { path: "public/a.html", absolute: join(root, "public/a.html"), mode: 0o644 },
    { path: "run.sh", absolute: join(root, "run.sh"), mode: 0o755 },
  ]);
});

it("refuses what leads out, what matches nothing and what would replace appctl's own files, all at once", async () => {
  const error = await failureOf(
    collectIncluded(root, [
      "../outside.txt",
      "/etc/passwd",
      "nothing/**",
      "escape.txt",
      "app.mjs",
      "a/../../x",
      "run.sh",
      "{..,public}/outside.txt",
    ]),
  );
  expect(error).toMatchObject({ code: "INVALID_INCLUDE", exit: 2 });
  expect(error.faults.map(({ path, message }) => `${path} ${message}`)).toEqual([
    'include[0] "../outside.txt" is outside of the app\'s folder',
    'include[1] "/etc/passwd" is outside of the app\'s folder',
    'include[2] "nothing/**" matches no file',
    'include[3] "escape.txt" links to a file outside of the app\'s directory',
    'include[4] "app.mjs" has the name of a file that appctl itself puts there',
    'include[5] "a/../../x" is outside of the app\'s folder',
    'include[7] "../outside.txt" is outside of the app\'s directory',
  ]);
});

it.skipIf(!mayActAsOther())("names what cannot be read, a file or a whole folder, however it is matched", async () => {
  const { dir, remove } = await temporaryDirectory();
  onTestFinished(remove);
  for (const name of ["c/closed", "c/open"]) mkdirSync(join(dir, name), { recursive: true });
  for (const name of ["c/closed/in.txt", "c/open/in.txt", "c/unread.txt"]) writeFileSync(join(dir, name), "x");
  chmodSync(join(dir, "c/closed"), 0o700);
  chmodSync(join(dir, "c/unread.txt"), 0o600);
  chmodSync(dir, 0o755);
  for (const pattern of ["c", "c/**", "./c/", "**"]) {
    const error = await asOther(() => failureOf(collectIncluded(dir, [pattern])));
    expect(error.faults.map(({ message }) => message).sort()).toEqual([
      expect.stringMatching(/^"c\/closed" cannot be read: EACCES/),
      expect.stringMatching(/^"c\/unread.txt" cannot be read: EACCES/),
    ]);
  }
});
