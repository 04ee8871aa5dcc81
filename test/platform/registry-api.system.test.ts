import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Redacted } from "../../src/core/redacted.ts";
import { attachReferrer } from "../../src/oci/referrer.ts";
import { noDockerd, startDockerd } from "../engine/docker/dockerd.ts";
import { folder, installed, run } from "../image/support.ts";
import { appIn, emptyLayout, environmentIn, pushImage, repositoryAt } from "../oci/registry/support.ts";
import { startPlatform, type TestPlatform } from "../support/in-process.ts";

let test: TestPlatform;
let key: string;
let host: string;

beforeAll(async () => {
  test = await startPlatform();
  key = readFileSync(join(test.dir, "state", "admin.key"), "utf8").trim();
  host = `127.0.0.1:${test.platform.port}`;
});
afterAll(() => test?.close());

const credentials = () => ({ kind: "password" as const, username: "anyone", password: new Redacted(key) });

function call(method: string, path: string, body?: Uint8Array | string, headers: Record<string, string> = {}) {
  const more = body === undefined ? {} : { body: new Uint8Array(Buffer.from(body)) };
  return fetch(`http://${host}${path}`, { method, headers: { authorization: `Bearer ${key}`, ...headers }, ...more });
}

describe.skipIf(!installed("skopeo"))("skopeo", () => {
  it("copies in and out, inspects, lists and deletes", async () => {
    const layout = await emptyLayout();
    const image = await appIn(layout, await environmentIn(layout));
    await attachReferrer(layout, image, "application/vnd.test", Buffer.from("a document"));
    const dir = await folder();
    const auth = join(dir, "auth.json");
    const login = Buffer.from(`ann:${key}`).toString("base64");
    writeFileSync(auth, JSON.stringify({ auths: { [host]: { auth: login } } }), { mode: 0o600 });
    const env = { ...process.env, REGISTRY_AUTH_FILE: auth };
    const skopeo = (...args: string[]) => run("skopeo", args, { env }).then(({ stdout }) => stdout);
    const there = `docker://${host}/by/skopeo:v1`;
    const plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    await skopeo("copy", "--dest-tls-verify=false", `oci:${layout.dir}:${image.reference}`, there);
    const described = JSON.parse(await skopeo("inspect", "--tls-verify=false", there));
    expect(described).toMatchObject({ Digest: image.digest, RepoTags: ["v1"] });
    await skopeo("copy", ...plain, there, `docker://${host}/by/skopeo-2:v2`);
    await skopeo("copy", "--src-tls-verify=false", there, `oci:${dir}/out:v1`);
    const index = JSON.parse(readFileSync(join(dir, "out", "index.json"), "utf8"));
    expect(index.manifests[0].digest).toBe(image.digest);
    await skopeo("copy", "--format=v2s2", ...plain, there, `docker://${host}/by/skopeo:docker`);
    expect(JSON.parse(await skopeo("list-tags", "--tls-verify=false", `docker://${host}/by/skopeo`))).toMatchObject({
      Tags: ["docker", "v1"],
    });
    await skopeo("delete", "--tls-verify=false", `docker://${host}/by/skopeo-2:v2`);
    expect((await call("GET", "/v2/by/skopeo-2/tags/list")).status).toBe(404);
    expect((await call("GET", "/v2/by/skopeo/manifests/v1")).status).toBe(200);
  });
});

const without = noDockerd();
if (without) console.warn(`left out: ${without}`);
describe.skipIf(without !== undefined || !installed("docker"))("docker", () => {
  it("signs in, pulls an image, and pushes it under another name", async () => {
    const dockerd = await startDockerd();
    const config = await folder();
    const env = { ...process.env, ...dockerd.env, DOCKER_CONFIG: config };
    const docker = (...args: string[]) => run("docker", args, { env }).then(({ stdout }) => stdout);
    try {
      const layout = await emptyLayout();
      const image = await appIn(layout, await environmentIn(layout));
      const repository = repositoryAt(host, { repository: "for/docker", credentials: credentials() });
      await pushImage({ repository, layout, image: image.descriptor, tag: "v1" });
      await repository.close();
      await expect(docker("pull", "--quiet", `${host}/for/docker:v1`)).rejects.toThrow("no basic auth credentials");

      const login = run("docker", ["login", host, "--username", "ann", "--password-stdin"], { env });
      login.child.stdin?.end(key);
      expect((await login).stdout).toContain("Login Succeeded");
      await docker("pull", "--quiet", `${host}/for/docker:v1`);
      const [{ Id, Config }] = JSON.parse(await docker("image", "inspect", `${host}/for/docker:v1`));
      expect(Config).toMatchObject({ Env: ["GREETING=hello"], WorkingDir: "/app" });
      await docker("tag", `${host}/for/docker:v1`, `${host}/from/docker:v2`);
      await docker("push", "--quiet", `${host}/from/docker:v2`);
      const pushed = await (await call("GET", "/v2/from/docker/manifests/v2")).json();
      // What Docker calls the image: its configuration, or its manifest where containerd keeps the images.
      const digest = (await call("HEAD", "/v2/from/docker/manifests/v2")).headers.get("docker-content-digest");
      expect([(pushed as { config: { digest: string } }).config.digest, digest]).toContain(Id);
    } finally {
      await dockerd.stop();
    }
  }, 120_000);
});

it("malfunctions are none of it: nothing was reported", () => {
  expect(test.reports).toEqual([]);
});
