/** What a `frameworkApp` is, and which Apps a module exports: asked by `load` and by the server shim, with one answer. */
import type { App } from "./app.ts";
import { isBranded } from "./brand.ts";

/**
 * How a `frameworkApp` is served: `fetch` calls `app.fetch(request)`, `node` calls `app(req, res)`, `fastify` readies the
 * instance and calls `app.routing(req, res)`; `unknown` cannot be served.
 */
export type FrameworkKind = "fetch" | "node" | "fastify" | "unknown";

/** The {@link FrameworkKind} of any value. Never throws. */
export function frameworkKind(value: unknown): FrameworkKind {
  try {
    if (has(value, "ready") && has(value, "routing")) return "fastify";
    if (has(value, "fetch")) return "fetch";
    return typeof value === "function" && !isClass(value) ? "node" : "unknown";
  } catch {
    return "unknown"; // a Proxy or a getter that throws when it is looked at
  }
}

/** Why a value of kind `unknown` cannot be served, and what to pass instead, as far as that is known. */
export function frameworkHint(value: unknown): string | undefined {
  try {
    if (isClass(value)) return "it is a class: pass an instance of it";
    if (has(value, "then")) return "it is a Promise: await it first (top-level await works)";
    if (has(value, "callback")) return "it looks like Koa: pass app.callback()";
    if (has(value, "listen") && has(value, "close"))
      return "it is a server: pass the listener that the server was made with";
    if (has(value, "handler")) return "it looks like h3 version 1: pass toNodeListener(app)";
  } catch {
    // A Proxy or a getter that throws when it is looked at: there is nothing to say about it.
  }
  return undefined;
}

/** An exported App and the names that it is exported under. */
export interface ExportedApp {
  app: App;
  exports: string[];
}

/**
 * The Apps that a module exports, in the order of their export names: default and named exports, and the properties of
 * `module.exports` when the module is CommonJS. The same App under two names is one App.
 */
export function exportedApps(namespace: Record<string, unknown>): ExportedApp[] {
  const found = new Map<App, string[]>();
  const note = (name: string, value: unknown) => {
    if (isApp(value)) found.set(value, [...(found.get(value) ?? []), name]);
  };
  for (const name of Object.keys(namespace)) {
    const value = namespace[name];
    note(name, value);
    if (name === "default") for (const [key, member] of membersOf(value)) note(key, member);
  }
  return [...found].map(([app, names]) => ({ app, exports: names }));
}

function isApp(value: unknown): value is App {
  return isBranded(value, "App");
}

function has(value: unknown, method: string): boolean {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as Record<string, unknown>)[method] === "function"
  );
}

function isClass(value: unknown): boolean {
  return typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));
}

/** What a plain object holds. Nothing for other values, and for what throws when it is looked at. */
function membersOf(value: unknown): [string, unknown][] {
  if (typeof value !== "object" || value === null) return [];
  try {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return [];
    return Object.keys(value).map((key) => [key, member(value, key)]);
  } catch {
    return [];
  }
}

function member(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return undefined; // a getter that throws
  }
}
