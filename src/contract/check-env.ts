import { isReserved } from "./app-environment.ts";
import { ENV_NAME } from "./name-patterns.ts";
import type { OptionContext, OptionFault } from "./option.ts";

/** The fault of giving a reserved variable. */
export function reservedFault(path: string, name: string): OptionFault {
  return {
    path,
    message: `sets ${name}, which the platform sets itself`,
    hint: "PORT, HOST and names that begin with K_ or APPCTL_ belong to the platform: choose another name",
  };
}

/** Checks an object of environment variables. No message shows a value: it may be secret. */
export function checkEnv(
  value: unknown,
  path: string,
  { faults, describe, fieldsOf }: OptionContext,
): Record<string, string> | undefined {
  const entries = fieldsOf(value, ENV_SHAPE);
  if (entries === undefined) {
    faults.push({ path, message: `must be an object of names and texts, not ${describe(value)}` });
    return undefined;
  }
  const env: Record<string, string> = {};
  for (const [name, text] of Object.entries(entries)) {
    const fault = !ENV_NAME.test(name)
      ? { path, message: `has the name ${JSON.stringify(name)}: it must be letters, digits and '_'` }
      : variableFault(name, text, `${path}.${name}`, describe);
    if (fault) faults.push(fault);
    else env[name] = text as string;
  }
  return env;
}

const ENV_SHAPE = { type: "object", owner: "env", typeName: "Env", plain: true, fields: {} } as const;

function variableFault(
  name: string,
  value: unknown,
  path: string,
  describe: OptionContext["describe"],
): OptionFault | undefined {
  // An object of names cannot hold it, here or on the platform: it would be lost without a word.
  if (name === "__proto__") return { path, message: "cannot be the name of a variable" };
  if (isReserved(name)) return reservedFault(path, name);
  if (typeof value === "number" || typeof value === "boolean")
    return { path, message: `must be text, not a ${typeof value}: put it in quotes` };
  if (typeof value !== "string") {
    const kind = describe(value);
    const hint = "put the Secret into the App's secrets, with this envVar";
    return { path, message: `must be text, not ${kind}`, ...(kind === "a Secret" ? { hint } : {}) };
  }
  return value.includes("\0") ? { path, message: "must not contain a NUL character" } : undefined;
}
