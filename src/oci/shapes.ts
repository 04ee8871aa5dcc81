/** What a JSON value is, as far as its shape tells. */
import type { Descriptor } from "./model.ts";

/** True for a descriptor: the shape, not what it names. */
export function isDescriptor(value: unknown): value is Descriptor {
  if (!isRecord(value)) return false;
  const { mediaType, digest, size, annotations = {} } = value;
  return (
    isText(mediaType) &&
    isText(digest) &&
    Number.isSafeInteger(size) &&
    isRecord(annotations) &&
    Object.values(annotations).every(isText)
  );
}

export function isListOf<T>(value: unknown, is: (item: unknown) => item is T): value is T[] {
  return Array.isArray(value) && value.every(is);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isText(value: unknown): value is string {
  return typeof value === "string";
}
