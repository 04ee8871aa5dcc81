import { AppctlError, ExitCode, type Fault, usageError } from "../core/errors.ts";
import type { LoadedFile } from "./loaded-file.ts";
import { type Declaration, declarations, locateOption, readSources } from "./locate.ts";
import { nearest } from "./nearest.ts";
import type { Checked, LoadedApp } from "./validate.ts";

/**
 * The App `name` of a file; `name` may be left out when there is only one. Throws `APP_NOT_FOUND` with the names that
 * there are, `APP_NAME_REQUIRED`, or `INVALID_APP` with every fault of that App and of the Apps that it depends on.
 * `command` is what the user typed, for what to type next.
 */
export function selectApp(loaded: LoadedFile, name?: string, command?: string): LoadedApp {
  return deployOrder(loaded, name, command).at(-1) as LoadedApp;
}

/** The App as {@link selectApp} finds it, after the Apps that it depends on, in the order in which they are deployed. */
export function deployOrder(loaded: LoadedFile, name?: string, command = "deploy apps"): LoadedApp[] {
  const order: Checked[] = [];
  const visit = (checked: Checked) => {
    if (order.includes(checked)) return;
    for (const dependency of checked.dependencies) visit(find(loaded, dependency, command));
    order.push(checked);
  };
  visit(find(loaded, name, command));
  const faulty = order.filter(({ faults }) => faults.length > 0);
  if (faulty.length > 0) throw invalidError(faulty, order.at(-1), loaded);
  return order.map(({ app }) => app).filter((app) => app !== undefined);
}

function find({ file, apps }: LoadedFile, name: string | undefined, command: string): Checked {
  const names = apps.map((app) => app.name).filter((known) => known !== "");
  const only = apps.length === 1 ? apps[0] : undefined;
  if (name === undefined) {
    if (only) return only;
    throw usageError(`${file} has ${apps.length} Apps: name one of them`, {
      code: "APP_NAME_REQUIRED",
      hint: `the Apps are ${names.join(", ")}`,
      next: names.slice(0, 5).map((known) => `appctl ${command} ${file} ${known}`),
    });
  }
  const found = apps.find((app) => app.name === name);
  if (found) return found;
  // A single App without a usable name: what is wrong with it says more than that this name was not found.
  if (only && only.name === "") return only;
  const near = nearest(name, names);
  const meant = near === undefined ? "" : `did you mean "${near}"? `;
  throw usageError(`${file} has no App named "${name}"`, {
    code: "APP_NOT_FOUND",
    hint: `${meant}${names.length === 1 ? "its App is" : "its Apps are"} ${names.join(", ")}`,
    next: near === undefined ? [] : [`appctl ${command} ${file} ${near}`],
  });
}

function invalidError(faulty: Checked[], chosen: Checked | undefined, { file, bundle, cwd }: LoadedFile): AppctlError {
  const declared = declarations(readSources(bundle.inputs, cwd));
  const faults = faulty.flatMap((checked) => {
    const place = declarationOf(checked, declared);
    return checked.faults.map((fault): Fault => {
      const located = place ? { ...fault, location: locateOption(place, fault.path) } : fault;
      return checked === chosen ? located : { ...located, path: `${checked.name}: ${fault.path}` };
    });
  });
  const [first] = faults;
  const name = chosen?.name ? `App "${chosen.name}"` : "An App";
  const one =
    faults.length === 1 && first ? `: ${first.path} ${first.message}` : `: ${faults.length} options are not valid`;
  return new AppctlError({
    code: "INVALID_APP",
    exit: ExitCode.usage,
    message: `${name} in ${file} is not valid${one}`,
    ...(faults.length === 1 && first?.hint ? { hint: first.hint } : {}),
    faults,
    ...(first?.location ? { location: first.location } : {}),
  });
}

function declarationOf({ name }: Checked, declared: Declaration[]): Declaration | undefined {
  return declared.find((declaration) => declaration.name === name) ?? (declared.length === 1 ? declared[0] : undefined);
}

/** Throws `DUPLICATE_APP_NAME` when two Apps of a file have the same name: a command could not tell them apart. */
export function checkUniqueNames({ file, apps, bundle, cwd }: Omit<LoadedFile, "tidied">): void {
  const twice = apps.find(({ name }, index) => name !== "" && apps.findIndex((other) => other.name === name) !== index);
  if (!twice) return;
  const places = declarations(readSources(bundle.inputs, cwd))
    .filter(({ name }) => name === twice.name)
    .map(({ source, start, end }) => locateOption({ source, start, end }, "name"));
  const last = places.at(-1);
  throw usageError(`${file} has more than one App named "${twice.name}"`, {
    code: "DUPLICATE_APP_NAME",
    hint: "give each App another name",
    faults: places.map((location) => ({ path: "name", message: `"${twice.name}" is used twice`, location })),
    ...(last ? { location: last } : {}),
  });
}
