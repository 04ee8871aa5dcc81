/** What the option checks need to know of a described file. */
import type { ObjectShape, OptionContext } from "../contract/option.ts";
import type { Fault } from "../core/errors.ts";
import { isRawOdd, isRawSdk } from "./description.ts";
import { parseDuration } from "./duration.ts";
import { formatFault } from "./formats.ts";
import { nearest } from "./nearest.ts";
import { describeValue } from "./readable.ts";

/** Checks with these add what is wrong to `faults`. */
export function fileContext(faults: Fault[]): OptionContext {
  return {
    faults,
    describe: describeValue,
    fieldsOf,
    seconds: parseDuration,
    amount: (value) => (typeof value === "number" ? String(value) : value),
    format: formatFault,
    nearest,
  };
}

/** The options in a plain object, or in an object of the shape's own SDK class. */
function fieldsOf(value: unknown, { owner }: ObjectShape): Record<string, unknown> | undefined {
  if (owner === "Resources" && isRawSdk(value, "Resources")) return value.value;
  const isPlain = typeof value === "object" && value !== null && !Array.isArray(value);
  return isPlain && !isRawOdd(value) && !isRawSdk(value) ? (value as Record<string, unknown>) : undefined;
}
