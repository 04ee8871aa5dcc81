import { dirname } from "node:path";
import { addCommand } from "../bundle/add-command.ts";
import type { Bundle } from "../bundle/bundle.ts";
import { displayPath } from "../bundle/display-path.ts";
import { AppctlError, ExitCode, isAppctlError } from "../core/errors.ts";

/** A package that the file imports, that stays outside of the bundle, and that is not installed next to the file. */
export interface MissingPackage {
  name: string;
  /** What to install: `"hono@4.13.19"`, or a name without a version. */
  spec: string;
}

const CODE = "PACKAGE_NOT_INSTALLED";

/** What can be read from a `PACKAGE_NOT_INSTALLED` error. */
export interface NotInstalled {
  missing: MissingPackage[];
  /** Every package that the ImageSpec probably lists, the missing ones included: installing these makes the layer itself. */
  packages: string[];
}

class PackagesNotInstalled extends AppctlError implements NotInstalled {
  readonly missing: MissingPackage[];
  readonly packages: string[];

  constructor(missing: MissingPackage[], packages: string[], file: string, command: string) {
    const names = missing.map(({ name }) => name);
    const are = names.length === 1 ? "is" : "are";
    super({
      code: CODE,
      exit: ExitCode.usage,
      message: `${file} imports ${names.join(", ")}, which ${are} not installed here`,
      hint: "packages of an ImageSpec stay outside of the bundle: install them next to the file",
      next: [command],
    });
    this.missing = missing;
    this.packages = packages;
  }
}

/** The error for packages without a directory. */
export function packagesNotInstalled(missing: MissingPackage[], bundle: Bundle, cwd: string): AppctlError {
  const specs = missing.map(({ spec }) => spec).filter((spec) => !bundle.mentioned.includes(spec));
  const command = addCommand(
    dirname(bundle.entry),
    missing.map(({ spec }) => spec),
  );
  return new PackagesNotInstalled(missing, [...bundle.mentioned, ...specs], displayPath(bundle.entry, cwd), command);
}

/** What is missing, when `error` says that: install it and call `loadApps` again with `packageDirs`. Else undefined. */
export function missingPackagesOf(error: unknown): NotInstalled | undefined {
  if (!isAppctlError(error) || error.code !== CODE) return undefined;
  const { missing, packages } = error as AppctlError & Partial<NotInstalled>;
  return missing && packages ? { missing, packages } : undefined;
}
