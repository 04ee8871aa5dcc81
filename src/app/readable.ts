import { withoutCredentials } from "../core/without-credentials.ts";
import { isRawOdd, isRawSdk } from "./description.ts";

/** A value in a few words, for "…, not this". Long texts are cut. */
export function describeValue(value: unknown): string {
  if (isRawOdd(value)) return value.$odd;
  if (isRawSdk(value))
    return value.$sdk === "App" || value.$sdk === "ImageSpec" ? `an ${value.$sdk}` : `a ${value.$sdk}`;
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  const text = typeof value === "string" ? JSON.stringify(withoutCredentials(value)) : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
