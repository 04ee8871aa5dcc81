/** Amounts of CPU and memory as an `AppSpec` writes them: Kubernetes' notation, checked by its schema. */

const FACTORS: Record<string, number> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** Bytes of an amount of memory such as `512Mi`. Throws on text that is none. */
export function bytesOf(amount: string): number {
  const match = /^(\d+)([A-Za-z]*)$/.exec(amount);
  const factor = match ? FACTORS[match[2] ?? ""] : undefined;
  if (!match || factor === undefined) throw new Error(`"${amount}" is no amount of memory`);
  return Number(match[1]) * factor;
}

/** Cores of an amount of CPU such as `250m` or `0.5`. Throws on text that is none. */
export function coresOf(amount: string): number {
  const cores = amount.endsWith("m") ? Number(amount.slice(0, -1)) / 1000 : Number(amount);
  if (!(cores > 0)) throw new Error(`"${amount}" is no amount of CPU`);
  return cores;
}
