/** What has to be true of a platform after whatever was killed, once it runs again and nothing is under way. */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import type { Client } from "../../src/client/client.ts";
import type { DeploymentEvent } from "../../src/contract/types.ts";
import { pathsOf } from "../../src/core/paths.ts";
import { unpackApp } from "../../src/image/unpack.ts";
import { OciLayout } from "../../src/oci/layout.ts";

const scope = { project: "default", domain: "development" };

/** Where to look. */
export interface Place {
  /** The user's environment. */
  env: Record<string, string>;
  state: string;
  cache: string;
  port: number;
  client: Client;
}

/** Checks everything that holds whatever happened. Nothing may be under way: every app has one replica, which is ready. */
export async function expectInvariants(place: Place): Promise<void> {
  await expectWholeLogs(place.client);
  await expectReplicas(place);
  await expectWholeImages(join(place.state, "images"));
  expectWholeImages(join(place.cache, "images"));
  await expectWholeContent(place.env, place.state);
  expectNoLeftovers(place.env, place.state);
}

/** Every deployment has come to its end, with events that have no gap and one verdict, at the end. */
async function expectWholeLogs(client: Client): Promise<void> {
  for (const app of await client.listApps(scope)) {
    for (let id = app.deployment ?? 0; id > 0 && id > (app.deployment ?? 0) - 3; id--) {
      const { events, done } = await client.deploymentEvents({ ...scope, name: app.name }, id, 0);
      expect(done, `deployment ${id} of ${app.name}`).toBe(true);
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
      const verdicts = events.filter((event: DeploymentEvent) => event.type !== "status");
      expect(verdicts, `verdicts of deployment ${id} of ${app.name}`).toEqual([events.at(-1)]);
      const steps = events.map((event) => (event.type === "status" ? `${event.phase} ${event.reason}` : event.type));
      // A deployment that is taken up again passes its steps once more; no step is told twice in a row.
      expect(
        steps.filter((step, index) => step === steps[index - 1]),
        `repeated steps: ${steps}`,
      ).toEqual([]);
      // An update of an app that was never without a revision.
      if (id > 1) expect(steps, `steps of deployment ${id} of ${app.name}`).not.toContain("Pending RevisionMissing");
    }
  }
}

/** The processes are those that the platform knows of, and so are the files and directories of replicas. */
async function expectReplicas({ client, env, state, port }: Place): Promise<void> {
  const apps = await client.listApps(scope);
  const known = apps.flatMap(({ replicas }) => replicas.map(({ pid }) => pid));
  const found = replicaProcesses(port);
  expect([...found.keys()].sort(), "replica processes").toEqual([...known].sort());
  const ids = [...found.values()].sort();
  const { runtime } = pathsOf(env);
  const directories = readdirSync(runtime).filter((name) => /^[0-9a-f]{8}$/.test(name));
  expect(directories.sort(), "directories of replicas").toEqual(ids);
  expect(readdirSync(join(state, "replicas")).sort(), "the ledger").toEqual(ids.map((id) => `${id}.json`));
}

/** Processes that carry the mark of a replica and belong to the platform on `port`: process id → replica's id. */
export function replicaProcesses(port: number): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    let environment: string[];
    try {
      environment = readFileSync(`/proc/${name}/environ`, "utf8").split("\0");
    } catch {
      continue; // it has just ended
    }
    if (!environment.includes(`APPCTL_ENDPOINT=http://127.0.0.1:${port}`)) continue;
    const id = environment.find((entry) => entry.startsWith("APPCTL_REPLICA_ID="))?.split("=")[1];
    if (id !== undefined) found.set(Number(name), id);
  }
  return found;
}

/** Every tag of an OCI layout names an image of which every part is there, with the right bytes. Read without our own code. */
export function expectWholeImages(dir: string): void {
  const index = JSON.parse(readFileSync(join(dir, "index.json"), "utf8"));
  const read = (digest: string): Buffer => {
    const bytes = readFileSync(join(dir, "blobs", ...digest.split(":")));
    expect(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, dir).toBe(digest);
    return bytes;
  };
  for (const { digest } of index.manifests) {
    const document = JSON.parse(read(digest).toString());
    // A tag may also name a list: of what there is to know about an image.
    const manifests = (document.manifests ?? []).map((entry: { digest: string }) =>
      JSON.parse(read(entry.digest).toString()),
    );
    for (const manifest of document.manifests ? manifests : [document]) {
      for (const part of [manifest.config, ...manifest.layers]) read(part.digest);
    }
  }
}

/** Folders that images are unpacked to: one for all apps, or, where each has a user of its own, one for each. */
export function contentFolders(env: NodeJS.ProcessEnv, state: string): string[] {
  const { shared } = pathsOf(env);
  const apps = shared === undefined ? "" : join(shared, "apps");
  const own = existsSync(apps) ? readdirSync(apps).map((name) => join(apps, name)) : [];
  return [join(state, "content"), ...own].filter((dir) => existsSync(dir));
}

/** Every unpacked image that a tag names has exactly what a fresh unpacking of it gives. */
async function expectWholeContent(env: NodeJS.ProcessEnv, state: string): Promise<void> {
  const layout = new OciLayout(join(state, "images"));
  const fresh = mkdtempSync(join(tmpdir(), "appctl-fresh-"));
  try {
    // The last few are enough: those before were looked at after the kill before.
    const folders = contentFolders(env, state);
    expect(folders.length).toBeGreaterThan(0);
    const images = folders.flatMap((dir) => readdirSync(dir).map((name) => ({ name, home: join(dir, name) })));
    const newest = images
      .filter(({ name }) => /^[0-9a-f]{64}$/.test(name))
      .map(({ name, home }) => ({ name, home, time: statSync(home).ctimeMs }))
      .sort((a, b) => b.time - a.time)
      .slice(0, 3);
    for (const { name, home } of newest) {
      const { dir } = await unpackApp(layout, `sha256:${name}`, fresh);
      expect(tree(join(home, "app")), `content ${name}`).toEqual(tree(dir));
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Path → content of everything below `dir`. */
function tree(dir: string): Record<string, string> {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => {
        const path = join(entry.parentPath, entry.name);
        const content = entry.isSymbolicLink() ? readlinkSync(path) : readFileSync(path, "base64");
        return [path.slice(dir.length), content];
      }),
  );
}

/** Nothing half is left: what a killed platform wrote beside its files is gone. */
export function expectNoLeftovers(env: NodeJS.ProcessEnv, state: string): void {
  for (const dir of [join(state, "images"), ...contentFolders(env, state)].map((folder) => join(folder, ".tmp"))) {
    expect(existsSync(dir) ? readdirSync(dir) : [], dir).toEqual([]);
  }
  const odd = readdirSync(state).filter((name) => name.endsWith(".new"));
  expect(odd, state).toEqual([]);
}
