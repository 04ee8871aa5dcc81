import { describe, expect, it } from "vitest";
import type { LoadedApp } from "../../src/app/validate.ts";
import type { DeployEvent } from "../../src/core/events.ts";
import { Trace } from "../../src/core/trace.ts";
import { packApp } from "../../src/image/app-image.ts";
import { localBuilder } from "../../src/image/builder/local-builder.ts";
import { type Delivery, deliver, type Stores } from "../../src/image/deliver.ts";
import { resolveEnvironment } from "../../src/image/environment-image.ts";
import { type PlanOptions, planImage } from "../../src/image/image-plan.ts";
import { LayoutStore } from "../../src/image/layout-store.ts";
import type { PreparedImage } from "../../src/image/prepare-image.ts";
import { ProgressQueue } from "../../src/image/progress-queue.ts";
import type { OciLayout } from "../../src/oci/layout.ts";
import type { ImageIndex } from "../../src/oci/model.ts";
import { fromLayout } from "../../src/oci/registry/blob-source.ts";
import { npmTarget } from "../../src/packages/npm-target.ts";
import { emptyLayout } from "../oci/registry/support.ts";
import { contextIn, folder } from "./support.ts";

const [amd, arm] = ["amd64", "arm64"].map((architecture) => npmTarget({ os: "linux", architecture }, "glibc")) as [
  PlanOptions["own"],
  PlanOptions["own"],
];
const app = { spec: { name: "web", kind: "args", args: ["node", "main.mjs"], port: 8080 }, image: {} };

/** Stores in folders of their own, and a machine that makes images for them. */
async function setUp() {
  const [layout, registry, platform] = [await emptyLayout(), await emptyLayout(), await emptyLayout()];
  const context = contextIn(await folder(), {});
  const stores: Stores = {
    layout: new LayoutStore(layout),
    platform: new LayoutStore(platform, "platform.test"),
    registry: Object.assign(new LayoutStore(registry, "registry.test"), {
      open: (_: string, blob: Parameters<typeof fromLayout>[1]) => fromLayout(registry, blob),
    }),
  };
  const run = async (code: string, options: Partial<PlanOptions>, own: OciLayout = layout) => {
    const from: PreparedImage = {
      app: app as unknown as LoadedApp,
      contents: [],
      layer: packApp([{ path: "main.mjs", bytes: Buffer.from(code) }], own),
      resolved: Promise.reject(new Error("not used")),
      builder: localBuilder(context, false),
      platforms: undefined,
      context,
      base: undefined,
      layout: own,
      progress: new ProgressQueue(),
      trace: new Trace(),
    };
    from.resolved.catch(() => undefined);
    const resolved = await resolveEnvironment({ name: "web-image", env: { A: "1" } }, context);
    const plan = planImage(resolved, { platforms: undefined, own: amd, ...options });
    const events: DeployEvent[] = [];
    const steps = deliver(plan, from, stores);
    let step = await steps.next();
    for (; !step.done; step = await steps.next()) events.push(step.value);
    const shown = events.filter(({ type }) => type !== "build");
    return { plan, deliveries: step.value as [Delivery, ...Delivery[]], events: shown };
  };
  return { layout, registry, platform, run };
}

const toPlatform = { platform: { address: "platform.test", needsBase: false } };

describe("an image is delivered", () => {
  it("to the platform, with its environment image, which is built once", async () => {
    const { platform, run } = await setUp();
    const first = await run("1", toPlatform);
    const reference = first.plan.targets[0]?.reference ?? "";
    expect(first.events).toEqual([
      { type: "image", state: "missing", reference: `platform.test/${reference}` },
      { type: "image", state: "built", reference: `platform.test/${reference}` },
    ]);
    const names = async () => (await platform.references()).map((each) => each.reference);
    expect(await names()).toEqual([reference, first.deliveries[0].images[0]?.image.reference].sort());
    const second = await run("2", toPlatform);
    expect(second.events).toEqual([{ type: "image", state: "found", reference: `platform.test/${reference}` }]);
    expect(await names()).toHaveLength(3);
  });

  it("by another machine, which has no content of the environment image", async () => {
    const { platform, run } = await setUp();
    const { deliveries } = await run("1", toPlatform);
    const other = await run("1", toPlatform, await emptyLayout());
    expect(other.events).toMatchObject([{ state: "found" }]);
    expect(other.deliveries[0].descriptor).toEqual(deliveries[0].descriptor);
    expect(await platform.resolve(deliveries[0].images[0]?.image.reference ?? "")).toBeDefined();
  });

  it("to the registry for every target, then to the platform for its own", async () => {
    const { registry, platform, run } = await setUp();
    const { deliveries, events } = await run("1", { ...toPlatform, platforms: [arm, amd], registry: "registry.test" });
    const [pushed, own] = deliveries as [Delivery, Delivery];
    expect(events.map((event) => (event.type === "image" ? event.state : event.type))).toEqual([
      ...["missing", "built", "missing", "built"],
      "pushed",
    ]);
    expect(events.at(-1)).toEqual({
      type: "pushed",
      app: "web",
      reference: pushed.reference,
      digest: pushed.descriptor.digest,
    });
    const index = await registry.readJson<ImageIndex>(pushed.descriptor.digest);
    expect(index.manifests.map(({ digest }) => digest).sort()).toEqual(
      pushed.images.map(({ image }) => image.digest).sort(),
    );
    expect(own.images).toHaveLength(1);
    // The platform runs the very image that the registry has, so it goes by the name in the registry.
    expect(own.images[0]).toMatchObject({ address: "registry.test", isNamed: true });
    expect((await platform.references()).map((each) => each.reference)).toEqual([own.images[0]?.image.reference]);
  });

  it("to this machine alone, with its bill of materials", async () => {
    const { layout, run } = await setUp();
    const { deliveries } = await run("1", { layout: "" });
    const [{ image, referrer }] = deliveries[0].images as [Delivery["images"][number]];
    expect(await layout.resolve(image.reference)).toEqual(image.descriptor);
    expect(await layout.hasBlob(referrer?.digest ?? "")).toBe(true);
    expect((await run("1", { layout: "" })).events).toMatchObject([{ state: "found" }]);
  });
});
