import { ENV_NAME } from "../contract/name-patterns.ts";
import type { Fault } from "../core/errors.ts";
import { isRawOdd, isRawSdk, type Raw } from "./description.ts";
import { describeValue } from "./readable.ts";

/** True for a variable that the platform sets itself (the runtime contract), so that nobody else may. */
export function isReserved(name: string): boolean {
  return name === "PORT" || name === "HOST" || name.startsWith("K_") || name.startsWith("APPCTL_");
}

/** The fault of giving a reserved variable. */
export function reservedFault(path: string, name: string): Fault {
  return {
    path,
    message: `sets ${name}, which the platform sets itself`,
    hint: "PORT, HOST and names that begin with K_ or APPCTL_ belong to the platform. Choose another name.",
  };
}

/** Checks an `env` object and adds what is wrong with it to `faults`. Values are never shown: they may be secret. */
export function checkEnvironment(raw: Raw, path: string, faults: Fault[]): Record<string, string> {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw) || isRawOdd(raw) || isRawSdk(raw)) {
    faults.push({ path, message: `must be an object of names and texts, not ${describeValue(raw)}` });
    return {};
  }
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(raw)) {
    const at = `${path}.${name}`;
    if (!ENV_NAME.test(name)) {
      faults.push({ path, message: `has the name ${JSON.stringify(name)}: it must be letters, digits and '_'` });
    } else if (name === "__proto__") {
      // An object of names cannot hold it, here or on the platform: it would be lost without a word.
      faults.push({ path: at, message: "cannot be the name of a variable" });
    } else if (isReserved(name)) {
      faults.push(reservedFault(at, name));
    } else if (isRawSdk(value, "Secret")) {
      faults.push({
        path: at,
        message: "must be text, not a Secret",
        hint: "Put the Secret into the App's secrets, with this envVar.",
      });
    } else if (typeof value !== "string") {
      const quoted = typeof value === "number" || typeof value === "boolean" ? ": put it in quotes" : "";
      faults.push({ path: at, message: `must be text, not ${kindOf(value)}${quoted}` });
    } else if (value.includes("\0")) {
      faults.push({ path: at, message: "must not contain a NUL character" });
    } else {
      env[name] = value;
    }
  }
  return env;
}

function kindOf(value: Raw): string {
  return typeof value === "number" || typeof value === "boolean" ? `a ${typeof value}` : describeValue(value);
}
