/** Writes the files that are made from the tables of `src/contract/`. A check fails when one of them is out of date. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sdkAppSettings, sdkOptions } from "./generate/sdk-options.ts";

const root = join(import.meta.dirname, "..");

/** Path of each generated file and its text. */
export function generatedFiles(): Record<string, string> {
  return { "src/sdk/options.ts": sdkOptions(), "src/sdk/app-settings.ts": sdkAppSettings() };
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(generatedFiles())) {
    if (readFileSync(join(root, path), "utf8") === text) continue;
    writeFileSync(join(root, path), text);
    console.log(`Wrote ${path}.`);
  }
}
