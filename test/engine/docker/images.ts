/** Images of programs for a container engine: a base, and an app layer on top. */
import { writeImage } from "../../../src/image/environment-image.ts";
import { writeLayer } from "../../../src/image/layer.ts";
import type { OciLayout } from "../../../src/oci/layout.ts";
import { EPOCH } from "../../../src/oci/model.ts";
import { hostTarget, ociTarget } from "../../../src/packages/npm-target.ts";
import type { BaseLayer } from "./base-layer.ts";

/** Writes an image with these files in its app folder, or where an absolute name says; gives its digest. Without a base nothing in it can run. */
export async function writeProgramImage(
  layout: OciLayout,
  base: BaseLayer | undefined,
  files: Record<string, string | Uint8Array>,
  { entrypoint, env = [] }: { entrypoint?: string[] | undefined; env?: string[] } = {},
): Promise<string> {
  const entries = Object.entries(files).map(([name, content]) => ({
    type: "file" as const,
    path: name.startsWith("/") ? name.slice(1) : `app/${name}`,
    content: Buffer.from(content as string),
  }));
  const app = await writeLayer(layout, entries, { role: "app", level: 1 });
  const layers = base ? [base, app] : [app];
  const { descriptor } = await writeImage(
    layout,
    {
      created: EPOCH,
      ...ociTarget(hostTarget()),
      config: { Env: env, WorkingDir: "/app", ...(entrypoint ? { Entrypoint: entrypoint } : {}) },
      rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
      history: layers.map(() => ({ created: EPOCH, created_by: "test" })),
    },
    layers.map((layer) => layer.descriptor),
  );
  return descriptor.digest;
}
