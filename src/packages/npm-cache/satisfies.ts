/** A version's place in order: three numbers, and whether it comes before the release of these numbers. */
interface Version {
  numbers: [number, number, number];
  prerelease: boolean;
}

const PLACE = String.raw`(\d+|[xX*])`;
const COMPARATOR = new RegExp(
  String.raw`^(\^|~>?|[<>]=?|=)?\s*v?${PLACE}(?:\.${PLACE}(?:\.${PLACE}(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)?)?$`,
);
const HYPHEN = /^(\S+)\s+-\s+(\S+)$/;
const EXACT = /^(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;

/** True when `version` certainly satisfies `range`, as npm reads ranges. False when it does not, or when that is not certain. */
export function satisfies(version: string, range: string): boolean {
  const exact = EXACT.exec(version);
  if (exact === null) return false;
  const numbers: Version["numbers"] = [Number(exact[1]), Number(exact[2]), Number(exact[3])];
  const sets = range.split("||").map((text) => text.trim());
  const comparators = sets.map(comparatorsOf);
  if (comparators.some((all) => all === undefined)) return false;
  // Which ranges take which pre-releases is a rule of its own; that they take the one that they name is certain.
  if (exact[4] !== undefined) return sets.some((text) => text.replace(/^(?:[\^~=]|>=)?\s*v?/, "") === version);
  return comparators.some((all) => all?.every((comparator) => allows(comparator, numbers)));
}

interface Comparator {
  operator: string;
  /** Numbers up to the first `x`. */
  places: number[];
  prerelease: boolean;
}

/** `>= 1.2 <2` is `>=1.2` and `<2`; nothing at all means any version. Undefined for what is no range, or an odd one. */
function comparatorsOf(set: string): Comparator[] | undefined {
  const hyphen = HYPHEN.exec(set);
  const joined = set.replace(/(\^|~>?|[<>]=?|=)\s+/g, "$1");
  const words = hyphen ? [`>=${hyphen[1]}`, `<=${hyphen[2]}`] : set === "" ? ["*"] : joined.split(/\s+/);
  const comparators = words.map(comparatorOf);
  return comparators.includes(undefined) ? undefined : (comparators as Comparator[]);
}

function comparatorOf(text: string): Comparator | undefined {
  const match = COMPARATOR.exec(text);
  if (match === null) return undefined;
  const [, operator = "", ...parts] = match;
  const given = parts.slice(0, 3).findIndex((part) => part === undefined || /[xX*]/.test(part));
  const places = parts.slice(0, given < 0 ? 3 : given).map(Number);
  // What a number after an `x` means is anybody's guess.
  if (parts.slice(places.length, 3).some((part) => part !== undefined && /\d/.test(part))) return undefined;
  if (places.length < 3 && parts[3] !== undefined) return undefined;
  return { operator, places, prerelease: parts[3] !== undefined };
}

function allows({ operator, places, prerelease }: Comparator, version: Version["numbers"]): boolean {
  const given = places.length;
  const [major = 0, minor = 0, patch = 0] = places;
  const at: Version = { numbers: [major, minor, patch], prerelease };
  const above = order(version, at) >= 0;
  /** Whether it comes before the next version that differs in the place `place`. */
  const before = (place: number) => {
    const next = [major, minor, patch].map((number, index) =>
      index < place ? number : index === place ? number + 1 : 0,
    );
    return order(version, { numbers: next as Version["numbers"], prerelease: false }) < 0;
  };
  if (given === 0) return operator === "" || operator === "^" || operator === ">=" || operator === "~";
  switch (operator) {
    case "":
    case "=":
      return given === 3 ? order(version, at) === 0 : above && before(given - 1);
    case "^":
      return above && before(Math.min(major > 0 ? 0 : minor > 0 ? 1 : 2, given - 1));
    case "~":
    case "~>":
      return above && before(Math.min(1, given - 1));
    case ">=":
      return above;
    case "<":
      return !above;
    case ">":
      return given === 3 ? order(version, at) > 0 : !before(given - 1);
    default:
      return given === 3 ? order(version, at) <= 0 : before(given - 1);
  }
}

/** Negative when the release `version` comes before `other`. */
function order(version: Version["numbers"], other: Version): number {
  for (const [index, number] of version.entries()) {
    const difference = number - (other.numbers[index] as number);
    if (difference !== 0) return difference;
  }
  return other.prerelease ? 1 : 0;
}
