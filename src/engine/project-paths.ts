/** Paths of the platform in an app's output → paths of the user's project. */
import { dirname } from "node:path";
import { stripVTControlCharacters } from "node:util";

/** A stack frame, or the place above an excerpt of the source. */
const PLACE = /^\s+at |^\S+:\d+$/;
/** How many folders above the entry's own a first-party file may lie. */
const FARTHEST_UP = 5;

/**
 * A line of output without terminal escape codes, with paths as the app's author knows them: those below `roots` (where
 * the content lies) relative to it, installed packages as `node_modules/…`, directories in `names` by their name.
 */
export function withProjectPaths(
  line: string,
  roots: readonly string[],
  names: Readonly<Record<string, string>> = {},
): string {
  let text = stripVTControlCharacters(line);
  if (!text.includes("/")) return text;
  for (const [dir, name] of Object.entries(names)) text = replaceDir(text, dir, name);
  text = text.replace(/(?<![\w:/.])(?:file:\/\/)?\/[^\s()'"]*\/(node_modules\/)/g, "$1");
  for (const root of roots) {
    let dir = root;
    // A source map's `../lib/db.ts`, a file next to the entry's own folder, has become a path next to the content.
    for (let up = 0; up <= (PLACE.test(text) ? FARTHEST_UP : 0) && dir !== "/"; up++, dir = dirname(dir)) {
      text = replaceDir(text, dir, Array(up).fill("..").join("/"));
    }
  }
  return text;
}

/** `text` with `to` for the directory `dir`, as a path or as a `file:` URL. */
function replaceDir(text: string, dir: string, to: string): string {
  const either = [...new Set([dir, encodeURI(dir)])].map((path) => path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(`(?<![\\w/.-])(?:file://)?(?:${either.join("|")})(/|(?![\\w.-]))`, "g");
  return text.replace(pattern, (_, slash: string) => (to !== "" ? to + slash : slash ? "" : "."));
}
