import type { App } from "../sdk/app.ts";
import { type BrandName, isBranded } from "../sdk/brand.ts";
import { exportedApps, frameworkHint, frameworkKind } from "../sdk/framework.ts";
import type { Raw, RawApp, RawFile, RawOdd } from "./description.ts";

const BRANDS: readonly BrandName[] = ["App", "ImageSpec", "Secret", "Resources"];
/** Options have two or three levels; what is deeper is somebody's object graph. */
const MAX_DEPTH = 8;
/** The mark of a getter or a Proxy that throws. */
const UNREADABLE: RawOdd = { $odd: "a value that throws when it is read" };

/** What a loaded module exports, as plain data. */
export function describeModule(namespace: Record<string, unknown>): RawFile {
  const exported = exportedApps(namespace);
  const apps = exported.map(({ app }) => app);
  const served = new Set(apps.map((app) => attempt(() => app.options?.frameworkApp)));
  const others = Object.keys(namespace)
    .filter((name) => typeof namespace[name] === "object" && namespace[name] !== null)
    .filter((name) => !isBranded(namespace[name], "App") && !served.has(namespace[name] as never))
    .map((name) => ({ name, kind: frameworkKind(namespace[name]) }))
    .filter(({ kind }) => kind !== "unknown");
  return { apps: exported.map(({ app, exports }) => describeApp(app, exports, apps)), others };
}

function describeApp(app: App, names: string[], apps: App[]): RawApp {
  const given = (attempt(() => app.options) ?? {}) as Record<string, unknown>;
  let options: RawApp["options"];
  try {
    options = entries(given, apps, 0, "frameworkApp");
  } catch {
    options = { name: UNREADABLE };
  }
  const frameworkApp = attempt(() => given["frameworkApp"]);
  if (frameworkApp === undefined) return { exports: names, options };
  const kind = frameworkKind(frameworkApp);
  const hint = kind === "unknown" ? frameworkHint(frameworkApp) : undefined;
  return { exports: names, options, framework: hint ? { kind, hint } : { kind } };
}

/** Turns any value into {@link Raw}. What cannot be plain data is marked, never dropped, so that its fault is reported. */
function toRaw(value: unknown, apps: App[], depth: number): Raw {
  try {
    return rawOf(value, apps, depth);
  } catch {
    return UNREADABLE;
  }
}

function rawOf(value: unknown, apps: App[], depth: number): Raw {
  if (value === null || typeof value === "boolean" || typeof value === "string" || typeof value === "number")
    return value;
  if (typeof value !== "object") return { $odd: value === undefined ? "undefined" : `a ${typeof value}` };
  if (depth > MAX_DEPTH) return { $odd: "an object that is nested too deep" };
  const brand = BRANDS.find((name) => isBranded(value, name));
  if (brand === "App") {
    const app = value as App;
    return { $sdk: brand, value: { index: apps.indexOf(app), name: toRaw(app.name, apps, depth + 1) } };
  }
  if (brand) {
    // ImageSpec keeps its options whole; Secret and Resources keep the fields that they know.
    const instance = value as { options?: object };
    const source = typeof instance.options === "object" && instance.options !== null ? instance.options : value;
    return { $sdk: brand, value: entries(source, apps, depth) };
  }
  if (Array.isArray(value)) return value.map((item) => toRaw(item, apps, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) {
    const name: unknown = (value as object).constructor?.name;
    return { $odd: `an instance of ${typeof name === "string" && name !== "" ? name : "a class"}` };
  }
  return entries(value, apps, depth);
}

/** The options in `value`, without the one named `except`. An option that is `undefined` was not given. */
function entries(value: object, apps: App[], depth: number, except?: string): { [key: string]: Raw } {
  const given = Object.keys(value)
    .filter((key) => key !== except)
    .map((key): [string, unknown] => [key, attempt(() => (value as Record<string, unknown>)[key])])
    .filter(([, item]) => item !== undefined);
  return Object.fromEntries(given.map(([key, item]) => [key, toRaw(item, apps, depth + 1)]));
}

/** What `read` returns, or the mark of a value that throws. */
function attempt(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return UNREADABLE;
  }
}
