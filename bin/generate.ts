/** Writes the files that are made from the tables of `src/contract/`. A check fails when one of them is out of date. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { referencePages, withReference } from "./generate/reference.ts";
import { sdkAppSettings, sdkOptions } from "./generate/sdk-options.ts";

const root = join(import.meta.dirname, "..");

/** Path of each generated file and its text. */
export function generatedFiles(): Record<string, string> {
  const text = (path: string) => readFileSync(join(root, path), "utf8");
  return {
    "src/sdk/options.ts": sdkOptions(),
    "src/sdk/app-settings.ts": sdkAppSettings(),
    ...referencePages(),
    "README.md": withReference(text("README.md"), text("docs/benchmarks.md")),
  };
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(generatedFiles())) {
    const file = join(root, path);
    if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    console.log(`Wrote ${path}.`);
  }
}
