/**
 * Checks values against the option tables: a user's file, and the bodies of requests. Each fault has its own path, and its
 * message reads on from it: `port must be at most 65535, not 70000`.
 */
import { checkEnv } from "./check-env.ts";
import { NAMES } from "./name-patterns.ts";
import type {
  ListShape,
  NumberShape,
  ObjectShape,
  Option,
  OptionContext,
  OptionFault,
  OptionTable,
  Shape,
  TextShape,
} from "./option.ts";

/** The path of a member of `path`: `["links", 0]` → `links[0]`, `["env", "a b"]` → `env["a b"]`. */
export function memberPath(path: string, key: string | number): string {
  if (typeof key === "number") return `${path}[${key}]`;
  if (!/^[A-Za-z_$][\w$]*$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}

/** Adds a fault for each key of `value` that `table` does not have. `owner` is what the message calls the table. */
export function checkKeys(
  value: object,
  table: OptionTable,
  owner: string,
  path: string,
  { faults, nearest }: OptionContext,
): void {
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(table, key)) continue;
    const near = nearest?.(key, Object.keys(table));
    const hint = near === undefined ? {} : { hint: `did you mean "${near}"?` };
    faults.push({ path: memberPath(path, key), message: `is not an option of ${owner}`, ...hint });
  }
}

/**
 * The value as the platform gets it: seconds, amounts as text, every default filled in. Returns undefined after it has added
 * a fault, and for an option without a default that is not given.
 */
export function checkOption(option: Option, value: unknown, path: string, context: OptionContext): unknown {
  if (value !== undefined) return checkShape(option, value, path, context);
  if (option.required) context.faults.push({ path, message: "is missing" });
  return structuredClone(option.default);
}

function checkShape(shape: Shape, value: unknown, path: string, context: OptionContext): unknown {
  const refuse = (rule: string) => {
    context.faults.push({ path, message: `${rule}, not ${context.describe(value)}` });
    return undefined;
  };
  switch (shape.type) {
    case "text":
      return checkText(shape, value, path, context);
    case "boolean":
      return typeof value === "boolean" ? value : refuse("must be true or false");
    case "choice":
      if (typeof value === "string" && shape.values.includes(value)) return value;
      return refuse(`must be ${orList(shape.values.map((choice) => JSON.stringify(choice)))}`);
    case "integer":
    case "number":
      return typeof value === "number" && Number.isFinite(value)
        ? checkNumber(shape, value, refuse)
        : refuse("must be a number");
    case "duration": {
      const seconds = context.seconds(value);
      if (seconds === undefined) return refuse('must be seconds, or a text such as "90s", "10m" or "500ms"');
      return checkNumber({ type: "number", above: 0, ...(shape.max && { max: shape.max }) }, seconds, refuse);
    }
    case "cpu":
    case "bytes":
      return checkText({ type: "text", ...NAMES[shape.type] }, context.amount(value), path, context);
    case "list":
      return checkList(shape, value, path, context);
    case "object":
      return checkObject(shape, value, path, context);
    case "env":
      return checkEnv(value, path, context);
    default:
      throw new Error(`${path}: values of type ${shape.type} have checks of their own`);
  }
}

function checkText(shape: TextShape, value: unknown, path: string, context: OptionContext): string | undefined {
  const fault = textFault(shape, value, context);
  if (fault === undefined) return value as string;
  context.faults.push({ path, ...fault });
  return undefined;
}

function textFault(
  shape: TextShape,
  value: unknown,
  { describe, format }: OptionContext,
): Omit<OptionFault, "path"> | undefined {
  const { pattern, rule, expected = "text", max = Number.POSITIVE_INFINITY, mayBeEmpty } = shape;
  if (typeof value !== "string") return { message: `must be ${expected}, not ${describe(value)}` };
  if (pattern !== undefined && !pattern.test(value)) return { message: `${rule}, not ${describe(value)}` };
  const fault = shape.format === undefined ? undefined : format?.(shape.format, value);
  if (fault !== undefined) return fault;
  if (value === "" && !mayBeEmpty) return { message: "must not be empty" };
  if (value.length > max) return { message: `must have at most ${max} characters` };
  if (value.includes("\0")) return { message: "must not contain a NUL character" };
  return undefined;
}

function checkNumber(shape: NumberShape, value: number, refuse: (rule: string) => undefined): number | undefined {
  const {
    type,
    min = Number.NEGATIVE_INFINITY,
    above = Number.NEGATIVE_INFINITY,
    max = Number.POSITIVE_INFINITY,
  } = shape;
  if (type === "integer" && !Number.isSafeInteger(value)) return refuse("must be a whole number");
  if (value <= above) return refuse(`must be more than ${above}`);
  if (value < min) return refuse(`must be at least ${min}`);
  if (value > max) return refuse(`must be at most ${max}`);
  return value;
}

function checkList(shape: ListShape, value: unknown, path: string, context: OptionContext): unknown[] | undefined {
  const { of, min = 0, max = Number.POSITIVE_INFINITY, expected = "a list", orOne } = shape;
  if (!Array.isArray(value)) {
    if (orOne) return [checkShape(of, value, path, context)];
    context.faults.push({ path, message: `must be ${expected}, not ${context.describe(value)}` });
    return undefined;
  }
  if (value.length < min) context.faults.push({ path, message: "must not be empty" });
  if (value.length > max) context.faults.push({ path, message: `must have at most ${max} items` });
  return Array.from(value, (item, index) => checkShape(of, item, memberPath(path, index), context));
}

function checkObject(shape: ObjectShape, value: unknown, path: string, context: OptionContext): unknown {
  const fields = context.fieldsOf(value, shape);
  if (fields === undefined) {
    context.faults.push({ path, message: `must be an object, not ${context.describe(value)}` });
    return undefined;
  }
  return checkFields(shape, fields, path, context);
}

/** The fields of an object that {@link OptionContext.fieldsOf} accepts. */
export function checkFields(
  { fields: table, owner }: ObjectShape,
  fields: Readonly<Record<string, unknown>>,
  path: string,
  context: OptionContext,
): Record<string, unknown> {
  checkKeys(fields, table, owner, path, context);
  const checked: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(table)) {
    const value = checkOption(option, fields[key], memberPath(path, key), context);
    if (value !== undefined) checked[key] = value;
  }
  return checked;
}

/** `a, b or c`. */
export function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
