/** What went wrong while a file was described → the error that its author can act on. */
import type { Bundle } from "../bundle/bundle.ts";
import { displayPath } from "../bundle/display-path.ts";
import { type MappedStack, mapStack } from "../bundle/mapped-stack.ts";
import { type AppctlError, type SourceLocation, usageError } from "../core/errors.ts";
import type { Outcome } from "./describe.ts";
import type { RawError, RawFile } from "./description.ts";
import { declarations, locationAt, readSources, type SourceText } from "./locate.ts";

/** The file that was described. `bundleFile` is where its bundle lay; places are shown relative to `cwd`. */
export interface Described {
  bundle: Bundle;
  bundleFile: string;
  cwd: string;
  timeoutMs: number;
}

/** How the file is run, as a part of a hint. */
const RUN_ONCE = "appctl runs the file to list its Apps, without secrets and without your shell's environment";

/** The error for an outcome that is no description. */
export async function describeError(
  outcome: Exclude<Outcome, { type: "described" }>,
  at: Described,
): Promise<AppctlError> {
  const file = displayPath(at.bundle.entry, at.cwd);
  const printed =
    outcome.output.length > 0 ? ["Output of the file:", ...outcome.output.map((line) => `  ${line}`)] : [];
  switch (outcome.type) {
    case "threw":
      return threwError(outcome.error, printed, file, at);
    case "exited": {
      const stack = await mapFrames(outcome.frames, at);
      return usageError(`${file} calls process.exit(${outcome.code}) while it is loaded`, {
        code: "DESCRIBE_EXITED",
        hint: `${RUN_ONCE}: call process.exit() only in a handler of a request or a signal`,
        ...located(stack.location),
        details: printed,
      });
    }
    case "unsettled": {
      const location = findText(at, /\bawait\b/);
      return usageError(`${file} waits at its top level for something that never comes`, {
        code: "DESCRIBE_UNSETTLED",
        hint: "a top-level await never settles: start such work in a request handler, or leave the await out",
        ...located(location),
        details: printed,
      });
    }
    case "timeout": {
      const seconds = at.timeoutMs / 1000;
      return usageError(`${file} was not loaded within ${seconds} s`, {
        code: "DESCRIBE_TIMEOUT",
        hint: outcome.busy
          ? "it computes all the time: look for an endless loop at the top level of the file, or of a module it imports"
          : "a top-level await (a connection, a fetch, a listener) does not settle: start it in a request handler",
        ...located(outcome.busy ? undefined : findText(at, /\bawait\b/)),
        details: printed,
      });
    }
  }
}

async function threwError(error: RawError, printed: string[], file: string, at: Described): Promise<AppctlError> {
  const stack = await mapFrames(error.frames, at);
  const what = scrub([error.name, error.message].filter((part) => part !== "").join(": "), at);
  const location = stack.location ?? importLocation(error, at);
  return usageError(`${file} throws while it is loaded: ${what}`, {
    code: "DESCRIBE_FAILED",
    hint: threwHint(error, location),
    ...located(location),
    frames: stack.frames.map((frame) => scrub(frame, at)),
    details: printed,
  });
}

function threwHint({ code, message }: RawError, location: SourceLocation | undefined): string {
  const name = /(?:Cannot find (?:package|module)) '([^'./][^']*)'/.exec(message)?.[1];
  if (name !== undefined && (code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND")) {
    return `"${name}" is imported by a name computed at run time, so it is not in the bundle: add it to ImageSpec.packages, and install it here`;
  }
  if (code === "EADDRINUSE")
    return "it listens by itself: pass the web app as frameworkApp instead, and appctl listens for it";
  if (code === "ENOENT") return "read files relative to import.meta.dirname, and add them to the App's include";
  if (/\benv\b/.test(location?.lineText ?? "")) {
    return `${RUN_ONCE}: read process.env in a request handler, or check process.env.APPCTL_DESCRIBE first`;
  }
  return `${RUN_ONCE}: it must load like that`;
}

/** An import that fails when modules are linked has no frame. Its line is found by the module's name. */
function importLocation({ message }: RawError, at: Described): SourceLocation | undefined {
  const name = /(?:requested module|find package|find module) '([^']+)'/.exec(message)?.[1];
  return name === undefined
    ? undefined
    : findText(at, new RegExp(`["']${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}["']`));
}

function findText({ bundle, cwd }: Described, pattern: RegExp): SourceLocation | undefined {
  for (const source of readSources(bundle.inputs, cwd)) {
    const match = pattern.exec(source.text);
    if (match) return locationAt(source, match.index);
  }
  return undefined;
}

function mapFrames(frames: string[], { bundle, bundleFile, cwd }: Described): Promise<MappedStack> {
  return mapStack(frames.join("\n"), { map: bundle.map, root: bundle.root, bundleFile, cwd });
}

/** The place where the bundle lies for a moment means nothing to anybody. */
function scrub(text: string, { bundleFile }: Described): string {
  const dir = bundleFile.slice(0, bundleFile.lastIndexOf("/") + 1);
  return text
    .replaceAll(`file://${dir}`, "")
    .replaceAll(dir, "")
    .replace(/ imported from app\.mjs$/m, "");
}

function located(location: SourceLocation | undefined): { location?: SourceLocation } {
  return location ? { location } : {};
}

/** The error for a file that exports no App. */
export function noAppError({ others }: RawFile, bundle: Bundle, cwd: string): AppctlError {
  const file = displayPath(bundle.entry, cwd);
  const sources = readSources(bundle.inputs, cwd);
  const declared = declarations(sources)[0];
  if (declared) {
    const name = declared.name === undefined ? "an App" : `the App "${declared.name}"`;
    return usageError(`${file} declares ${name} but exports none`, {
      code: "NO_APP",
      hint: "write export before it: export const myApp = new App({ … })",
      location: locationAt(declared.source, declared.start),
    });
  }
  const entry = sources[0];
  const other = others[0];
  const value = other && other.name !== "default" ? other.name : "app";
  return usageError(`${file} has no App`, {
    code: "NO_APP",
    hint: `add: import { App } from "appctl"; export const myApp = new App({ name: "my-app", frameworkApp: ${value} });`,
    ...located(entry && exportLocation(entry, other?.name)),
  });
}

/** Where the App would have to be added: at the export that looks like a web app, else at the file's first line of code. */
function exportLocation(entry: SourceText, name: string | undefined): SourceLocation {
  const declared = name === "default" ? /\bexport\s+default\b/ : name && new RegExp(`\\bexport\\s.*\\b${name}\\b`);
  const match = (declared || /\S/).exec(entry.text) ?? /\S/.exec(entry.text);
  return locationAt(entry, match?.index ?? 0);
}
