import { expect, it } from "vitest";
import { withProjectPaths } from "../../src/engine/project-paths.ts";

const roots = ["/var/lib/appctl/apps/7/ab12/app"];
const names = { "/run/x/1/home": "$HOME", "/run/x/1/tmp": "$TMPDIR" };
const shown = (line: string) => withProjectPaths(line, roots, names);

it.each([
  ["a frame", "    at f (file:///var/lib/appctl/apps/7/ab12/app/app.ts:3:12)", "    at f (app.ts:3:12)"],
  ["a file next to the folder", "    at /var/lib/appctl/apps/7/ab12/lib/db.ts:1:1", "    at ../lib/db.ts:1:1"],
  ["three folders up", "    at f (/var/lib/appctl/apps/common/a.ts:1:1)", "    at f (../../../common/a.ts:1:1)"],
  ["the place of an excerpt", "/var/lib/appctl/apps/7/ab12/app/server.cjs:3", "server.cjs:3"],
  ["a quoted file", "open '/var/lib/appctl/apps/7/ab12/app/a b.txt'", "open 'a b.txt'"],
  ["the folder itself", "scandir '/var/lib/appctl/apps/7/ab12/app'", "scandir '.'"],
  ["the home directory", "open '/run/x/1/home/x', not /run/x/1/tmp", "open '$HOME/x', not $TMPDIR"],
  ["a package", "from /var/lib/appctl/layers/9/app/node_modules/pg/lib/a.js", "from node_modules/pg/lib/a.js"],
  ["escape codes", "\u001b[31mTypeError\u001b[0m: in /var/lib/appctl/apps/7/ab12/app/x", "TypeError: in x"],
])("shows %s as the author of the app knows it", (_, line, expected) => {
  expect(shown(line)).toBe(expected);
});

it.each([
  ["a longer name", "/var/lib/appctl/apps/7/ab12/app-data/x"],
  ["a path that only ends like it", "/mnt/var/lib/appctl/apps/7/ab12/app/x"],
  ["a folder above, outside of a frame", "see /var/lib/appctl/apps/7/x"],
  ["a URL", "https://cdn.example/node_modules/x.js"],
])("leaves %s as it is", (_, line) => {
  expect(shown(line)).toBe(line);
});

it("finds a directory with a space in a file URL", () => {
  expect(withProjectPaths("    at file:///s%20t/app/a.ts:1:2", ["/s t/app"])).toBe("    at a.ts:1:2");
});
