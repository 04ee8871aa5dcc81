/** Reads the JSON documents of an image. The digest tells that the bytes are the right ones, not that they make sense. */
import { AppctlError, ExitCode } from "../core/errors.ts";
import type { OciLayout } from "./layout.ts";
import type { ImageConfig, Manifest } from "./model.ts";
import { isDescriptor, isListOf, isRecord, isText } from "./shapes.ts";

/** The manifest with that digest. Throws NOT_A_MANIFEST when the blob has another shape. */
export async function readManifest(layout: OciLayout, digest: string): Promise<Manifest> {
  const value = await layout.readJson<unknown>(digest);
  if (isRecord(value) && isDescriptor(value["config"]) && isListOf(value["layers"], isDescriptor)) {
    return value as unknown as Manifest;
  }
  throw wrongShape("NOT_A_MANIFEST", `${digest} is not an image manifest`);
}

/** The image configuration with that digest. Throws NOT_A_CONFIG when the blob has another shape. */
export async function readConfig(layout: OciLayout, digest: string): Promise<ImageConfig> {
  const config = configFrom(await layout.readJson<unknown>(digest));
  if (config) return config;
  throw wrongShape("NOT_A_CONFIG", `${digest} is not an image configuration`);
}

/**
 * A configuration as JSON has it: `config`, its members and `history` may be absent (image-spec, config.md), and Docker writes
 * null for what is. Undefined for another shape.
 */
export function configFrom(value: unknown): ImageConfig | undefined {
  if (!isRecord(value)) return undefined;
  const { config, rootfs, history } = value;
  const run = config ?? {};
  if (!isRecord(run) || !isRecord(rootfs) || !isListOf(rootfs["diff_ids"], isText)) return undefined;
  const { Env = [], ...others } = Object.fromEntries(Object.entries(run).filter(([, member]) => member !== null));
  if (!isListOf(Env, isText)) return undefined;
  return {
    ...(value as unknown as ImageConfig),
    config: { ...others, Env } as ImageConfig["config"],
    history: (history ?? []) as ImageConfig["history"],
  };
}

function wrongShape(code: string, message: string): AppctlError {
  return new AppctlError({ code, exit: ExitCode.usage, message });
}
