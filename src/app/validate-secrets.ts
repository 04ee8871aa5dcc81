import type { Fault } from "../core/errors.ts";
import { isRawSdk, type Raw } from "./description.ts";
import { describeValue } from "./readable.ts";
import { isReserved, reservedFault } from "./validate-env.ts";

/** The secrets of an App as the spec has them. */
export interface Secrets {
  requests: Record<string, Raw>[];
  /** For each request its place in the user's list, and whether the user chose the variable. */
  places: { index: number; ownVar: boolean }[];
}

/** Reads `secrets`, fills in each variable's default, and adds what is no Secret to `faults`. */
export function secretRequests(raw: Raw | undefined, faults: Fault[]): Secrets {
  const secrets: Secrets = { requests: [], places: [] };
  if (raw === undefined) return secrets;
  if (!Array.isArray(raw)) {
    faults.push({ path: "secrets", message: `must be a list of new Secret({ key: … }), not ${describeValue(raw)}` });
    return secrets;
  }
  raw.forEach((item, index) => {
    if (!isRawSdk(item, "Secret")) {
      const example = typeof item === "string" ? item : "NAME";
      const hint = `Write new Secret({ key: ${JSON.stringify(example)} }).`;
      faults.push({ path: `secrets[${index}]`, message: `must be a Secret, not ${describeValue(item)}`, hint });
      return;
    }
    const { key, envVar, mount = "env" } = item.value;
    const chosen = envVar ?? (typeof key === "string" ? defaultVariable(key, mount === "file") : undefined);
    const request = { ...item.value, mount };
    secrets.requests.push(chosen === undefined ? request : { ...request, envVar: chosen });
    secrets.places.push({ index, ownVar: envVar !== undefined });
  });
  return secrets;
}

function defaultVariable(key: string, file: boolean): string {
  return key.replace(/[^A-Za-z0-9_]/g, "_") + (file ? "_FILE" : "");
}

/**
 * Adds a fault for each variable that is set twice or belongs to the platform. `env` and `inputs` are the App's own;
 * entries that are not valid by themselves are passed over, they have their faults already.
 */
export function variableFaults(
  env: Record<string, string>,
  { requests, places }: Secrets,
  inputs: Raw | undefined,
  faults: Fault[],
): void {
  const taken = new Map(Object.keys(env).map((name) => [name, `env.${name}`]));
  const take = (name: Raw | undefined, path: string, allowed: boolean) => {
    if (typeof name !== "string") return;
    const by = taken.get(name);
    if (by !== undefined) faults.push({ path, message: `sets ${name}, which ${by} sets already` });
    else if (isReserved(name) && !allowed) faults.push(reservedFault(path, name));
    taken.set(name, by ?? path);
  };
  requests.forEach(({ envVar, mount }, position) => {
    // `new Remote()` reads its key there, so a secret has to be able to put it there.
    const key = envVar === "APPCTL_API_KEY" && mount === "env";
    take(envVar, `secrets[${places[position]?.index ?? position}].envVar`, key);
  });
  if (!Array.isArray(inputs)) return;
  inputs.forEach((input, index) => {
    if (typeof input !== "object" || input === null || Array.isArray(input)) return;
    take(input["envVar"], `inputs[${index}].envVar`, false);
  });
}
