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
  return range.split("||").some((set) => {
    const text = set.trim();
    // Which ranges take which pre-releases is a rule of its own; that they take the one that they name is certain.
    if (exact[4] !== undefined) return text.replace(/^(?:[\^~=]|>=)?\s*v?/, "") === version;
    const hyphen = HYPHEN.exec(text);
    const comparators = hyphen ? [`>=${hyphen[1]}`, `<=${hyphen[2]}`] : words(text);
    return comparators.every((comparator) => allows(comparator, numbers));
  });
}

/** `>= 1.2 <2` as `>=1.2` and `<2`; nothing at all means any version. */
function words(text: string): string[] {
  return text === "" ? ["*"] : text.replace(/(\^|~>?|[<>]=?|=)\s+/g, "$1").split(/\s+/);
}

function allows(comparator: string, version: Version["numbers"]): boolean {
  const match = COMPARATOR.exec(comparator);
  if (match === null) return false;
  const [, operator = "", ...places] = match;
  const parts = places
    .slice(0, 3)
    .map((place) => (place === undefined || /[xX*]/.test(place) ? undefined : Number(place)));
  const given = parts.indexOf(undefined) < 0 ? 3 : parts.indexOf(undefined);
  const [major = 0, minor = 0, patch = 0] = parts.slice(0, given);
  const at: Version = { numbers: [major, minor, patch], prerelease: places[3] !== undefined };
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
