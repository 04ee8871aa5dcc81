/** Many apps on one real platform, deployed by the API with an image that was uploaded before. */
import { randomUUID } from "node:crypto";
import { readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { Client } from "../../src/client/client.ts";
import type { AppSpec, DeploymentEvent, ImageReference } from "../../src/contract/types.ts";
import { Redacted } from "../../src/core/redacted.ts";
import type { World } from "../e2e/harness.ts";
import { programSpec, refOf, scope } from "../support/in-process.ts";
import { repository } from "./process-time.ts";

/** A client of the world's local platform, as its user. */
export function clientOf(world: World): Client {
  const apiKey = new Redacted(readFileSync(join(world.state, "admin.key"), "utf8").trim());
  return new Client({ endpoint: `http://127.0.0.1:${world.port}`, apiKey });
}

/** Deploys an app by the API; milliseconds from the request to the verdict, which has to be a success. */
export async function deployTime(client: Client, spec: AppSpec, image: ImageReference): Promise<number> {
  const start = performance.now();
  const { id } = await client.applyApp(refOf(spec.name), spec, image, randomUUID());
  let last: DeploymentEvent | undefined;
  for await (const event of client.follow(refOf(spec.name), id, 0)) last = event;
  if (last?.type !== "succeeded") throw new Error(`${spec.name}: ${JSON.stringify(last)}`);
  return performance.now() - start;
}

/** The image of an app that has been deployed. */
export async function imageOf(client: Client, name: string): Promise<ImageReference> {
  const { image, digest } = await client.getApp(refOf(name));
  if (image === null || digest === null) throw new Error(`${name} has no image`);
  return { reference: image, digest };
}

/** Apps of one file, and so of one image: Hono, each with a route of its own. */
export class Fleet {
  readonly names: string[];
  readonly client: Client;
  readonly #image: ImageReference;

  private constructor(names: string[], client: Client, image: ImageReference) {
    this.names = names;
    this.client = client;
    this.#image = image;
  }

  /** Uploads the image by a deploy of an app that is deleted again. */
  static async create(world: World, count: number): Promise<Fleet> {
    const names = Array.from({ length: count }, (_, index) => `app-${index}`);
    const app = (name: string, index: number) =>
      `export const app${index} = new App({ name: "${name}", requiresAuth: false,
  frameworkApp: new Hono().get("/", (c) => c.text("${name}")) });`;
    const dir = world.folder("fleet", {
      "app.ts": `import { App } from "appctl";\nimport { Hono } from "hono";\n${["seed", ...names].map(app).join("\n")}\n`,
    });
    symlinkSync(join(repository, "node_modules"), join(dir, "node_modules"));
    await world.ok(["deploy", "apps", "app.ts", "seed"], { cwd: dir });
    const client = clientOf(world);
    const image = await imageOf(client, "seed");
    await client.deleteApp(refOf("seed"));
    return new Fleet(names, client, image);
  }

  /** Milliseconds from the request to the verdict. */
  deploy(name: string, more: Partial<AppSpec> = {}): Promise<number> {
    const { args: _, ...spec } = programSpec(name);
    return deployTime(this.client, { ...spec, kind: "framework", ...more }, this.#image);
  }

  /** Process ids of all replicas. */
  async pids(): Promise<number[]> {
    const apps = await this.client.listApps(scope);
    return apps.flatMap(({ replicas }) => replicas.flatMap(({ pid }) => (pid === null ? [] : [pid])));
  }

  delete(name: string): Promise<unknown> {
    return this.client.deleteApp(refOf(name));
  }
}
