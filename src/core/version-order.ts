/** Negative when version `a` (`1.2.3`, `1.2.3-beta.1`) is older than `b`, positive when it is newer, 0 when they are equal. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  for (const at of [0, 1, 2]) {
    const difference = (left.numbers[at] ?? 0) - (right.numbers[at] ?? 0);
    if (difference !== 0) return difference;
  }
  // A pre-release comes before its release.
  if (left.tag === right.tag) return 0;
  if (left.tag === "" || right.tag === "") return left.tag === "" ? 1 : -1;
  return left.tag.localeCompare(right.tag, "en", { numeric: true });
}

function partsOf(version: string): { numbers: number[]; tag: string } {
  const [, numbers = "", tag = ""] = /^([\d.]*)(?:-([^+]*))?/.exec(version) ?? [];
  return { numbers: numbers.split(".").map(Number), tag };
}
