import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { generatedFiles } from "../bin/generate.ts";
import { IMAGE_OPTIONS } from "../src/contract/image-options.ts";
import { SETTINGS } from "../src/core/settings.ts";
import { DEFAULT_BASE_IMAGE, DEFAULT_NODE_VERSION, NODE_VERSION_PLACE } from "../src/image/default-base.ts";

it.each(Object.entries(generatedFiles()))("%s is what `npm run generate` writes", (path, text) => {
  expect(readFileSync(join(import.meta.dirname, "..", path), "utf8")).toBe(text);
});

it("the texts about the default base image name it", () => {
  const image = DEFAULT_BASE_IMAGE.replace(NODE_VERSION_PLACE, DEFAULT_NODE_VERSION);
  expect(SETTINGS.baseImage.default).toBe(image);
  expect(IMAGE_OPTIONS.baseImage.doc).toContain(`Default: Debian with Node, \`"${image}"\``);
  expect(IMAGE_OPTIONS.nodeVersion.doc).toContain(`Default: \`"${DEFAULT_NODE_VERSION}"\``);
});
