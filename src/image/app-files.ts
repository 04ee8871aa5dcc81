/** What lies in an app's layer, what its ImageSpec copies, and how a container engine starts the app. */
import { readFile } from "node:fs/promises";
import { readDockerIgnore } from "../app/docker-ignore.ts";
import { collectIncluded } from "../app/include.ts";
import type { LoadedFile } from "../app/loaded-file.ts";
import type { LoadedApp } from "../app/validate.ts";
import { BUNDLE_FILE } from "../bundle/esbuild.ts";
import { builtFile } from "../core/package-files.ts";
import type { AppFile } from "./app-image.ts";
import { type CopiedFile, readCopied } from "./copied-files.ts";

/** The files that the ImageSpec copies. */
export async function copiedFiles({ image }: LoadedApp, { bundle }: LoadedFile): Promise<CopiedFile[]> {
  if (!image.copy?.length) return [];
  const ignored = await readDockerIgnore(bundle.root);
  const field = "containerImage.copy";
  return readCopied(await collectIncluded(bundle.root, image.copy, { field, code: "INVALID_COPY", ignored }));
}

/**
 * The bundle, the server shim that serves it, what the shim has to know, and the files that the app asked for, without those
 * that the environment image has already.
 */
export async function appFiles(
  app: LoadedApp,
  { bundle, apps }: LoadedFile,
  copied: readonly CopiedFile[],
): Promise<AppFile[]> {
  const copiedPaths = new Set(copied.map(({ path }) => path));
  const included = (await collectIncluded(bundle.root, app.include)).filter(({ path }) => !copiedPaths.has(path));
  const specs = apps.flatMap(({ app: other }) => (other ? [other.spec] : []));
  const facts = {
    apps: Object.fromEntries(
      specs.map(({ name, secrets }) => [name, { secrets: secrets.map(({ key, envVar }) => ({ key, envVar })) }]),
    ),
  };
  const ownFiles: AppFile[] = [
    { path: BUNDLE_FILE, bytes: bundle.code },
    { path: `${BUNDLE_FILE}.map`, bytes: bundle.map },
    { path: "serve.mjs", bytes: await readFile(builtFile("serve.js")) },
    { path: "app.json", bytes: Buffer.from(`${JSON.stringify(facts)}\n`) },
  ];
  const includedFiles = included.map(
    async ({ path, absolute, mode }): Promise<AppFile> => ({
      path,
      bytes: await readFile(absolute),
      executable: mode === 0o755,
    }),
  );
  return [...ownFiles, ...(await Promise.all(includedFiles))];
}

/** How a container engine starts the image; the process runtime does the same by itself. */
export function runConfig({ spec }: LoadedApp) {
  const port = spec.port;
  if (spec.kind === "args") return { cmd: spec.args, port };
  if (spec.kind === "command") return { cmd: ["/bin/sh", "-c", spec.command ?? ""], port };
  return { entrypoint: ["node", "--enable-source-maps", "/app/serve.mjs"], port };
}
