import type { Fault } from "../core/errors.ts";
import { isRawSdk, type Raw, type RawApp } from "./description.ts";
import { describeValue } from "./readable.ts";

/**
 * Checks `dependencies` of the App at `self` in `all` and adds what is wrong to `faults`. Returns the names of the Apps
 * that it needs, each once.
 */
export function dependencyNames(raw: Raw | undefined, all: readonly RawApp[], self: number, faults: Fault[]): string[] {
  if (raw === undefined) return [];
  if (!Array.isArray(raw)) {
    faults.push({ path: "dependencies", message: `must be a list of Apps, not ${describeValue(raw)}` });
    return [];
  }
  const names = new Set<string>();
  raw.forEach((item, index) => {
    const path = `dependencies[${index}]`;
    const place = dependencyIndex(item);
    const target = place === undefined ? undefined : all[place];
    if (place === undefined) {
      faults.push({ path, message: `must be an App of this file, not ${describeValue(item)}` });
    } else if (!target) {
      const hint = "export that App, too: only exported Apps can be deployed";
      faults.push({ path, message: "is an App that this file does not export", hint });
    } else if (place === self || reaches(place, self, all)) {
      faults.push({
        path,
        message: `needs this App itself: ${cycleText(self, place, all)}`,
        hint: "remove one of the two",
      });
    } else names.add(nameOf(target) ?? "");
  });
  return [...names];
}

/** Place of the App that a raw dependency is; -1 when it is not exported, undefined when it is no App. */
function dependencyIndex(item: Raw): number | undefined {
  if (!isRawSdk(item, "App")) return undefined;
  const { index } = item.value;
  return typeof index === "number" ? index : undefined;
}

/** The name, as far as it is one: an App that is not valid has its own faults. */
function nameOf(app: RawApp | undefined): string | undefined {
  const name = app?.options["name"];
  return typeof name === "string" ? name : undefined;
}

function dependenciesOf(app: RawApp | undefined): number[] {
  const list = app?.options["dependencies"];
  return Array.isArray(list) ? list.map(dependencyIndex).filter((place) => place !== undefined) : [];
}

function reaches(from: number, target: number, all: readonly RawApp[], seen = new Set<number>()): boolean {
  if (seen.has(from)) return false;
  seen.add(from);
  return dependenciesOf(all[from]).some((next) => next === target || reaches(next, target, all, seen));
}

function cycleText(self: number, place: number, all: readonly RawApp[]): string {
  const name = (index: number) => nameOf(all[index]) ?? "?";
  return place === self ? `${name(self)} → ${name(self)}` : `${name(self)} → ${name(place)} → … → ${name(self)}`;
}
