import { isReserved } from "../contract/app-environment.ts";
import { SECRET_OPTIONS } from "../contract/app-options.ts";
import { reservedFault } from "../contract/check-env.ts";
import { checkFields } from "../contract/check-option.ts";
import { ENV_NAME } from "../contract/name-patterns.ts";
import type { OptionContext } from "../contract/option.ts";
import type { SecretRequest } from "../contract/types.ts";
import type { Fault } from "../core/errors.ts";
import { isRawSdk, type Raw } from "./description.ts";
import { describeValue } from "./readable.ts";

/** A secret of an App, at `index` of the user's list. Its fields are there as far as they are valid. */
export type CheckedSecret = { index: number } & { [Field in keyof SecretRequest]: SecretRequest[Field] | undefined };

const SECRET = {
  type: "object",
  owner: "Secret",
  typeName: "SecretOptions",
  plain: false,
  fields: SECRET_OPTIONS,
} as const;

/** Reads `secrets`, fills in each variable's default, and adds what is wrong to the faults of `context`. */
export function checkSecrets(raw: Raw | undefined, context: OptionContext): CheckedSecret[] {
  const { faults } = context;
  if (raw === undefined) return [];
  if (!Array.isArray(raw)) {
    faults.push({ path: "secrets", message: `must be a list of new Secret({ key: … }), not ${describeValue(raw)}` });
    return [];
  }
  return raw.flatMap((item, index) => {
    const path = `secrets[${index}]`;
    if (!isRawSdk(item, "Secret")) {
      const example = typeof item === "string" ? item : "NAME";
      const hint = `write new Secret({ key: ${JSON.stringify(example)} })`;
      faults.push({ path, message: `must be a Secret, not ${describeValue(item)}`, hint });
      return [];
    }
    const { key, envVar, mount }: Partial<SecretRequest> = checkFields(SECRET, item.value, path, context);
    if (item.value["envVar"] !== undefined || typeof item.value["key"] !== "string")
      return [{ index, key, envVar, mount }];
    const variable = defaultVariable(item.value["key"], mount === "file");
    if (!ENV_NAME.test(variable)) {
      const message = `would be ${describeValue(variable)}, which is no name of a variable`;
      faults.push({ path: `${path}.envVar`, message, hint: "give the Secret an envVar" });
    }
    return [{ index, key, envVar: variable, mount }];
  });
}

function defaultVariable(key: string, file: boolean): string {
  return key.replace(/[^A-Za-z0-9_]/g, "_") + (file ? "_FILE" : "");
}

/**
 * Adds a fault for each variable that is set twice or belongs to the platform. `env` and `inputs` are the App's own;
 * entries that are not valid by themselves are passed over: they have their faults already.
 */
export function variableFaults(
  env: Record<string, string>,
  secrets: CheckedSecret[],
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
  for (const { index, envVar, mount } of secrets) {
    // `new Remote()` reads its key there, so a secret has to be able to put it there.
    const isKey = envVar === "APPCTL_API_KEY" && mount === "env";
    take(envVar, `secrets[${index}].envVar`, isKey);
  }
  if (!Array.isArray(inputs)) return;
  inputs.forEach((input, index) => {
    if (typeof input !== "object" || input === null || Array.isArray(input)) return;
    take(input["envVar"], `inputs[${index}].envVar`, false);
  });
}
