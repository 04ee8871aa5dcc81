/** Secret values that tests use, and everything that such a value may look like where it has leaked to. */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";

/** A value and its name for messages. The value itself is never printed. */
interface Registered {
  name: string;
  bytes: Buffer;
}

/** Shorter values would be found by accident. */
export const MIN_SEARCHED_BYTES = 10;
/** Of a longer value this many bytes are looked for, from its beginning and from its middle. */
const WINDOW = 48;

const registered = new Map<string, Registered>();

/** A random, recognisable secret value. It is looked for in everything that the tests of this file leave behind. */
export function canary(name: string): string {
  const value = `canary-${name}-${randomBytes(18).toString("hex")}`;
  register(name, value);
  return value;
}

/** Says that `value` is secret, wherever it comes from. Returns the name that it is known by: the first one given. */
export function register(name: string, value: string | Uint8Array): string {
  const bytes = Buffer.from(value as string);
  if (bytes.length < MIN_SEARCHED_BYTES) return name;
  const known = registered.get(bytes.toString("hex")) ?? { name, bytes };
  registered.set(bytes.toString("hex"), known);
  return known.name;
}

/** How many values are looked for. */
export function registeredCount(): number {
  return registered.size;
}

/** What to look for, and how each form is called. */
export function needles(): { name: string; form: string; needle: Buffer }[] {
  return [...registered.values()].flatMap(({ name, bytes }) =>
    formsOf(bytes).map(([form, needle]) => ({ name, form, needle })),
  );
}

/** A value in plain, base64 at each alignment, hex, percent-encoded and JSON-escaped. */
export function formsOf(value: Buffer): [form: string, needle: Buffer][] {
  const windows =
    value.length <= WINDOW ? [value] : [0, (value.length - WINDOW) >> 1].map((at) => value.subarray(at, at + WINDOW));
  const forms = new Map<string, [string, Buffer]>();
  for (const bytes of windows) {
    const add = (form: string, needle: Buffer | string) => {
      const made = Buffer.from(needle as string);
      // A window may begin in the middle of a character or of an escape: what is then left is too short to mean anything.
      const key = made.toString("hex");
      if (made.length >= MIN_SEARCHED_BYTES && !forms.has(key)) forms.set(key, [form, made]);
    };
    const text = bytes.toString("utf8").replace(/^\ufffd+|\ufffd+$/g, "");
    add("plain", bytes);
    add("hex", bytes.toString("hex"));
    add("hex", bytes.toString("hex").toUpperCase());
    add("percent-encoded", encodeURIComponent(text));
    add("percent-encoded", encodeURIComponent(text).replaceAll("%20", "+"));
    add("JSON", JSON.stringify(text).slice(1, -1));
    add("JSON in JSON", JSON.stringify(JSON.stringify(text)).slice(3, -3));
    for (const shift of [0, 1, 2]) {
      // Digits at both ends depend on the neighbours, so they are left out.
      const base64 = Buffer.concat([Buffer.alloc(shift), bytes])
        .toString("base64")
        .replace(/=+$/, "");
      const inner = base64.slice(shift === 0 ? 0 : shift + 1, -1);
      add("base64", inner);
      add("base64url", inner.replaceAll("+", "-").replaceAll("/", "_"));
    }
  }
  return [...forms.values()];
}
