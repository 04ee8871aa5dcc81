import type { z } from "zod";
import { withoutCredentials } from "../core/without-credentials.ts";
import { isRawOdd, isRawSdk } from "./description.ts";

/** Writes the path of a field as the user would: `["secrets", 0, "key"]` → `secrets[0].key`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    const name = String(part);
    if (!/^[A-Za-z_$][\w$]*$/.test(name)) return `${text}[${JSON.stringify(name)}]`;
    return text === "" ? name : `${text}.${name}`;
  }, "");
}

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

const KINDS: Record<string, string> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

/** A zod issue as a sentence without a subject ("must be …"), and the value that it is about. */
export function issueMessage(issue: z.core.$ZodIssue, value: unknown): string {
  const got = value === undefined ? "" : `, not ${describeValue(value)}`;
  switch (issue.code) {
    case "invalid_type":
      return value === undefined ? "is missing" : `must be ${KINDS[issue.expected] ?? issue.expected}${got}`;
    case "too_small":
      if (issue.origin === "string" || issue.origin === "array") return `must not be empty`;
      return own(issue.message)
        ? issue.message + got
        : `must be ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}${got}`;
    case "too_big":
      if (issue.origin === "string") return `must have at most ${issue.maximum} characters`;
      return `must be ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}${got}`;
    case "invalid_value":
      return `must be ${issue.values.map((choice) => JSON.stringify(choice)).join(" or ")}${got}`;
    case "invalid_key":
      return `has a name that is not valid: it ${issue.issues[0]?.message ?? issue.message}`;
    case "unrecognized_keys":
      return `has no option ${issue.keys.map((key) => JSON.stringify(key)).join(", ")}`;
    default:
      return own(issue.message) ? issue.message + got : `is not valid: ${issue.message}`;
  }
}

/** Messages that the schemas give themselves read on from the field's name. */
function own(message: string): boolean {
  return /^must /.test(message);
}
