/** The spec of an app: what the platform gets of an App, with every default filled in and nothing of the user's code. */
import { APP_OPTIONS, SECRET_OPTIONS } from "./app-options.ts";
import { checkFields } from "./check-option.ts";
import type { ObjectShape, OptionContext, OptionFault } from "./option.ts";

/** The values that options of these shapes have in a spec. */
type Value<S> = S extends { type: "text" | "cpu" | "bytes" }
  ? string
  : S extends { type: "boolean" }
    ? boolean
    : S extends { type: "choice"; values: readonly (infer V)[] }
      ? V
      : S extends { type: "integer" | "number" | "duration" }
        ? number
        : S extends { type: "list"; of: infer Item }
          ? Value<Item>[]
          : S extends { type: "object"; fields: infer F }
            ? Fields<F>
            : S extends { type: "env" }
              ? Record<string, string>
              : never;
type Given = { required: true } | { default: unknown };
type Fields<F> = {
  [K in keyof F as F[K] extends Given ? K : never]: Value<F[K]>;
} & {
  [K in keyof F as F[K] extends Given ? never : K]?: Value<F[K]> | undefined;
};

const { frameworkApp: _, containerImage: __, include: ___, dependencies: ____, ...SENT } = APP_OPTIONS;

const secret = {
  type: "object",
  owner: "a secret",
  typeName: "SecretRequest",
  plain: true,
  fields: { ...SECRET_OPTIONS, envVar: { ...SECRET_OPTIONS.envVar, required: true } },
} as const;

/** Fields of a spec, as the deployment API takes them. Durations are seconds. */
export const APP_SPEC = {
  type: "object",
  owner: "a spec",
  typeName: "AppSpec",
  plain: true,
  fields: {
    ...SENT,
    kind: {
      type: "choice",
      values: ["framework", "args", "command"],
      required: true,
      doc: "`framework`: the server shim of the image serves the `frameworkApp` of the file. `args` and `command` run a program.",
    },
    secrets: { ...SENT.secrets, of: secret, expected: "a list" },
  },
} as const satisfies ObjectShape;

/** An app as the platform gets it. */
export type AppSpec = Value<typeof APP_SPEC>;

/** A secret that an app asks for. `envVar` carries the value, or the file's path when `mount` is `"file"`. */
export type SecretRequest = Value<typeof secret>;

/** CPU in cores, memory and storage in bytes, in Kubernetes' notation. */
export type ResourceAmounts = AppSpec["limits"];

/** What an app may do besides computing, and reading and writing its own files. */
export type Permission = NonNullable<AppSpec["permissions"]>[number];

/** Checks a spec of a request. `spec` is there exactly when `faults` is empty. */
export function checkAppSpec(value: unknown): { spec?: AppSpec; faults: OptionFault[] } {
  const faults: OptionFault[] = [];
  const context: OptionContext = {
    faults,
    describe: describeJson,
    fieldsOf: (from) =>
      typeof from === "object" && from !== null && !Array.isArray(from) ? (from as Record<string, unknown>) : undefined,
    seconds: (from) => (typeof from === "number" && Number.isFinite(from) ? from : undefined),
    amount: (from) => from,
  };
  const fields = context.fieldsOf(value, APP_SPEC);
  if (fields === undefined) return { faults: [{ path: "", message: `must be an object, not ${describeJson(value)}` }] };
  const spec = checkFields(APP_SPEC, fields, "", context) as AppSpec;
  return faults.length > 0 ? { faults } : { spec, faults };
}

/** A value of JSON in a few words. Texts are not shown: their sender knows them, and logs need not have them. */
function describeJson(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null || typeof value === "boolean" || typeof value === "number") return String(value);
  if (typeof value === "string") return value.length > 60 ? "this text" : JSON.stringify(value);
  return Array.isArray(value) ? "a list" : "an object";
}
