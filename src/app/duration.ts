const SECONDS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };

/** Reads a duration as seconds: a number of seconds, or text such as `"90s"`, `"10m"`, `"1h"`, `"500ms"`. Else undefined. */
export function parseDuration(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (typeof value !== "string") return undefined;
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(value.trim());
  const unit = SECONDS[match?.[2] ?? "s"];
  return match?.[1] === undefined || unit === undefined ? undefined : Number((Number(match[1]) * unit).toFixed(3));
}
