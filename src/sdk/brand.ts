/** Names of the SDK's classes. */
export type BrandName = "App" | "ImageSpec" | "Secret" | "Resources";

/** Marks `target` as an SDK object of kind `name`, recognisable across copies of this package. */
export function brand(target: object, name: BrandName): void {
  Object.defineProperty(target, Symbol.for(`appctl.sdk.${name}`), { value: true });
}

/** True when `value` was made by the SDK class `name` of any copy of this package. Never throws. */
export function isBranded(value: unknown, name: BrandName): boolean {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return false;
  try {
    return (value as Record<symbol, unknown>)[Symbol.for(`appctl.sdk.${name}`)] === true;
  } catch {
    return false; // a Proxy that throws for names that it does not know
  }
}
