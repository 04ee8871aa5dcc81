import { Buffer } from "node:buffer";
import { dirname, resolve } from "node:path";
import type { Message } from "esbuild";
import { AppctlError, ExitCode, type Fault, type SourceLocation } from "../core/errors.ts";
import { packageNameOf } from "../packages/package-spec.ts";
import { addCommand } from "./add-command.ts";
import { displayPath } from "./display-path.ts";

/** Longest line that is shown. Lines of generated files can have megabytes. */
const MAX_LINE = 300;

/** One error for everything that esbuild found wrong; its location is that of the first. `entry` and `cwd` are absolute. */
export function bundleError(messages: Message[], entry: string, cwd: string): AppctlError {
  const found = messages.map((message) => ({ message, fault: faultOf(message, cwd) }));
  const missing = [
    ...new Set(found.map(({ message }) => missingPackage(message)).filter((name) => name !== undefined)),
  ];
  const first = found[0]?.fault;
  const file = displayPath(entry, cwd);
  return new AppctlError({
    code: "BUNDLE_FAILED",
    exit: ExitCode.usage,
    message: found.length === 1 ? `${file} cannot be bundled: ${first?.message}` : `${file} has ${found.length} errors`,
    ...(first?.hint && found.length === 1 ? { hint: first.hint } : {}),
    next: missing.length > 0 ? [addCommand(dirname(entry), missing)] : [],
    faults: found.map(({ fault }) => fault),
    ...(first?.location ? { location: first.location } : {}),
  });
}

/** A warning of esbuild in one line, with its place. */
export function warningText(message: Message, cwd: string): string {
  const place = locationOf(message, cwd);
  return place ? `${place.file}:${place.line}:${place.column}: ${message.text}` : message.text;
}

function faultOf(message: Message, cwd: string): Fault {
  const location = locationOf(message, cwd);
  const { text, hint } = explain(message);
  return {
    path: location ? `${location.file}:${location.line}:${location.column}` : "",
    message: text,
    ...(hint ? { hint } : {}),
    ...(location ? { location } : {}),
  };
}

function explain(message: Message): { text: string; hint?: string } {
  const path = unresolved(message);
  const name = missingPackage(message);
  if (name !== undefined) {
    const hint = `install it, or list it in ImageSpec.packages ("${name}@VERSION") to have it only in the image`;
    return { text: `the package "${name}" is not installed`, hint };
  }
  const scheme = path === undefined ? undefined : /^([a-z]+):/.exec(path)?.[1];
  if (path !== undefined && scheme !== undefined) {
    return {
      text: `"${path}" cannot be imported`,
      hint: `apps run on Node.js, which has no such "${scheme}:" module`,
    };
  }
  if (path !== undefined && /^\.{0,2}\//.test(path)) {
    return { text: `there is no file "${path}"`, hint: "check the spelling and the extension" };
  }
  if (message.detail === "native-addon") {
    return {
      text: message.text,
      hint: "put the addon into an npm package: packages with native code stay outside of the bundle",
    };
  }
  // esbuild's advice on its own flags helps nobody who does not run esbuild.
  const note = message.notes
    .map(({ text }) => text)
    .find((text) => text && !/mark the path|external|the "?--/i.test(text));
  return note ? { text: message.text, hint: note } : { text: message.text };
}

/** The path of an import that esbuild could not resolve. Its messages have no code, so the text has to serve. */
function unresolved(message: Message): string | undefined {
  return /^Could not resolve "([^"]+)"/.exec(message.text)?.[1];
}

/** The package that is missing altogether. One that is there but has no such file has a note about it instead. */
function missingPackage(message: Message): string | undefined {
  const path = unresolved(message);
  if (path === undefined || path.startsWith("#")) return undefined;
  if (message.notes.some(({ text }) => /is not exported|is not defined|was found here|"exports"/i.test(text)))
    return undefined;
  return packageNameOf(path);
}

function locationOf(message: Message, cwd: string): SourceLocation | undefined {
  const place = message.location;
  if (!place) return undefined;
  // esbuild counts columns from 0, in bytes of UTF-8.
  const before = Buffer.from(place.lineText, "utf8").subarray(0, place.column).toString("utf8");
  return {
    file: displayPath(resolve(cwd, place.file), cwd),
    line: place.line,
    column: before.length + 1,
    ...(place.lineText ? { lineText: place.lineText.slice(0, MAX_LINE) } : {}),
  };
}
