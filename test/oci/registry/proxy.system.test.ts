/** Registries that only an HTTP proxy reaches: nobody but that knows their names. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { hostTarget, ociTarget } from "../../../src/packages/npm-target.ts";
import { failureOf, folder, installed, run } from "../../image/support.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../../support/docker-registry.ts";
import { type ForwardProxy, forwardProxy } from "../../support/forward-proxy.ts";
import { authorityIn } from "./authority.ts";
import { appIn, emptyLayout, environmentIn, pauses, pullImage, pushImage, repositoryAt } from "./support.ts";

const USER = "ann:open sesame";
const ENCODED = "ann:open%20sesame";
/** Nothing of the password, in whatever way it is written. */
const SECRET = /sesame|YW5u/;

describe.skipIf(!hasDockerRegistry())("a registry behind an HTTP proxy", () => {
  let registry: DockerRegistry;
  let proxy: ForwardProxy;
  beforeAll(async () => {
    registry = await startDockerRegistry({ dir: await folder() });
    proxy = await forwardProxy({ "registry.test:80": registry.port }, { user: USER });
  });
  afterAll(async () => {
    await proxy?.close();
    await registry?.close();
  });
  afterEach(() => {
    proxy.refuse = { status: 0, times: 0 };
    proxy.seen.splice(0);
  });

  const address = (user = ENCODED) => `http://${user}@127.0.0.1:${proxy.port}`;
  const at = (env: NodeJS.ProcessEnv, host = "registry.test", plain = true) =>
    repositoryAt(host, { plain, env, ...pauses() });

  async function failure(env: NodeJS.ProcessEnv, plain = true) {
    const repository = at(env, "registry.test", plain);
    try {
      const error = await failureOf(repository.resolve("1"));
      expect(inspect(error, { depth: 9 }) + JSON.stringify(error)).not.toMatch(SECRET);
      return error;
    } finally {
      await repository.close();
    }
  }

  it("gets an image and gives it back, every request through the proxy", async () => {
    const layout = await emptyLayout();
    const image = await appIn(layout, await environmentIn(layout));
    const repository = at({ http_proxy: address() });
    await pushImage({ repository, layout, image: image.descriptor, tag: "1", chunkSize: 64 * 1024 });
    const back = await pullImage(repository, "1", await emptyLayout(), ociTarget(hostTarget()));
    await repository.close();
    expect(back.descriptor.digest).toBe(image.digest);
    expect(new Set(proxy.seen.map(({ target }) => target))).toEqual(new Set(["registry.test:80"]));
    expect(proxy.seen.map(({ method }) => method)).toEqual(
      expect.arrayContaining(["HEAD", "POST", "PATCH", "PUT", "GET"]),
    );
    // What is not asked through the proxy is not found at all.
    expect(await failure({})).toMatchObject({ code: "REGISTRY_UNREACHABLE" });
  });

  it("on this machine, or one that NO_PROXY names, is asked directly", async () => {
    const own = at({ HTTP_PROXY: address() }, registry.host);
    expect(await own.resolve("none")).toBeUndefined();
    await own.close();
    const excluded = await failure({ HTTP_PROXY: address(), NO_PROXY: "other.test,registry.test" });
    expect(excluded).toMatchObject({ code: "REGISTRY_UNREACHABLE", message: expect.not.stringContaining("proxy") });
    expect(proxy.seen).toEqual([]);
  });

  it.each([
    ["HTTP", true, "HTTP_PROXY"],
    ["HTTPS", false, "HTTPS_PROXY"],
  ])(
    "over %s that cannot be reached, since the proxy cannot: it is named, without its password",
    async (_, plain, name) => {
      const gone = await forwardProxy({});
      await gone.close();
      const error = await failure({ [name]: `http://${ENCODED}@127.0.0.1:${gone.port}` }, plain);
      expect(error).toMatchObject({ code: "PROXY_UNREACHABLE", exit: 6, hint: expect.stringContaining("NO_PROXY") });
      expect(error.message).toContain(
        `the proxy http://127.0.0.1:${gone.port} (${name}) does not answer (ECONNREFUSED)`,
      );
    },
  );

  it("is told from a proxy that hangs up", async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.on("error", () => undefined).once("data", () => socket.destroy());
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const error = await failure({ HTTPS_PROXY: `http://127.0.0.1:${port}` }, false);
    expect(error).toMatchObject({ code: "PROXY_UNREACHABLE", message: expect.stringContaining(`127.0.0.1:${port}`) });
    // The first try and five more.
    expect(connections).toBe(6);
    server.close();
  });

  it.each([
    ["HTTP", true, "HTTP_PROXY"],
    ["HTTPS", false, "HTTPS_PROXY"],
  ])("over %s needs the user and password that its proxy asks for", async (_, plain, name) => {
    const none = await failure({ [name]: `http://127.0.0.1:${proxy.port}` }, plain);
    expect(none).toMatchObject({ code: "PROXY_REFUSED", exit: 3, message: expect.stringContaining("407") });
    expect(none.hint).toContain(`${name}=http://USER:PASSWORD@127.0.0.1:${proxy.port}`);
    const wrong = await failure({ [name]: address("ann:not%20sesame") }, plain);
    expect(wrong).toMatchObject({ code: "PROXY_REFUSED", exit: 3, hint: expect.stringContaining("refuses the user") });
    expect(proxy.seen).toHaveLength(2);
  });

  it("is not reached where the proxy does not let it pass, and the proxy's status is told", async () => {
    proxy.refuse = { status: 403, times: 1 };
    const error = await failure({ HTTPS_PROXY: address() }, false);
    expect(error).toMatchObject({ code: "PROXY_REFUSED", exit: 3 });
    expect(error.message).toContain(
      `http://127.0.0.1:${proxy.port} (HTTPS_PROXY) answered 403 to a request for registry.test`,
    );
    expect(proxy.seen.map(({ method, target }) => `${method} ${target}`)).toEqual(["CONNECT registry.test:443"]);
  });

  it("is tried again when the proxy cannot reach it, and at last that is the cause", async () => {
    const error = await failure({ HTTPS_PROXY: address() }, false);
    expect(error).toMatchObject({ code: "PROXY_REFUSED", exit: 6, message: expect.stringContaining("502") });
    expect(proxy.seen).toHaveLength(6);
    proxy.refuse = { status: 503, times: 2 };
    const repository = at({ HTTP_PROXY: address() });
    expect(await repository.resolve("none")).toBeUndefined();
    await repository.close();
  });
});

describe.skipIf(!hasDockerRegistry() || !installed("openssl"))("a registry with TLS behind an HTTP proxy", () => {
  const source = join(import.meta.dirname, "../../../src");
  // A process of its own: Node reads NODE_EXTRA_CA_CERTS when it starts.
  const script = (dir: string, image: object) => `
    const { Repository } = await import(${JSON.stringify(join(source, "oci/registry/repository.ts"))});
    const { copyImage } = await import(${JSON.stringify(join(source, "image/copy-image.ts"))});
    const { RegistryStore } = await import(${JSON.stringify(join(source, "image/registry-store.ts"))});
    const { OciLayout } = await import(${JSON.stringify(join(source, "oci/layout.ts"))});
    const { env } = process;
    const name = { host: "registry.test", plain: false, repository: "team/web" };
    const repository = new Repository({ name, access: "push", env, signal: new AbortController().signal });
    try {
      const layout = new OciLayout(${JSON.stringify(dir)});
      const store = new RegistryStore({ address: "", repositoryOf: () => repository, chunkSize: 65536 });
      await copyImage({ reference: "any:1", descriptor: ${JSON.stringify(image)} }, { layout }, store);
      console.log((await repository.resolve("1")).digest);
    } catch (error) { console.log(error.code, "|", error.message); }
    await repository.close();`;

  it("is reached through a tunnel, as skopeo does, and its own certificate counts", async () => {
    const dir = await folder();
    await authorityIn(dir, "DNS:registry.test");
    const tls = { certificate: join(dir, "server.pem"), key: join(dir, "server.key") };
    const registry = await startDockerRegistry({ dir: await folder(), tls });
    const proxy = await forwardProxy({ "registry.test:443": registry.port }, { user: USER });
    try {
      const layout = await emptyLayout();
      const image = await appIn(layout, await environmentIn(layout));
      const env = { PATH: process.env["PATH"], HOME: dir, HTTPS_PROXY: `http://${ENCODED}@127.0.0.1:${proxy.port}` };
      const push = async (more: NodeJS.ProcessEnv) => {
        const args = ["--input-type=module", "-e", script(layout.dir, image.descriptor)];
        const { stdout, stderr } = await run(process.execPath, args, { env: { ...env, ...more } });
        expect(stdout + stderr).not.toMatch(SECRET);
        return stdout.trim();
      };
      expect(await push({ NODE_EXTRA_CA_CERTS: join(dir, "ca.pem") })).toBe(image.digest);
      const ours = proxy.seen.splice(0);
      expect(new Set(ours.map(({ method, target }) => `${method} ${target}`))).toEqual(
        new Set(["CONNECT registry.test:443"]),
      );
      expect(await push({})).toMatch(
        new RegExp(
          `^REGISTRY_NOT_TRUSTED \\| .*registry.test through the proxy http://127.0.0.1:${proxy.port} .HTTPS_PROXY.`,
        ),
      );
      if (installed("skopeo")) {
        proxy.seen.splice(0);
        const asGo = { env: { ...env, SSL_CERT_FILE: join(dir, "ca.pem") } };
        const { stdout } = await run("skopeo", ["inspect", "docker://registry.test/team/web:1"], asGo);
        expect(JSON.parse(stdout).Digest).toBe(image.digest);
        expect(proxy.seen[0]).toEqual(ours[0]);
      }
    } finally {
      await proxy.close();
      await registry.close();
    }
  });
});
