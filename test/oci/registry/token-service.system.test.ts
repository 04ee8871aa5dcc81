import { Buffer } from "node:buffer";
import { createPrivateKey, createSign, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Redacted } from "../../../src/core/redacted.ts";
import { failureOf, folder, installed, run } from "../../image/support.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../../support/docker-registry.ts";
import { type FaultProxy, faultProxy } from "../../support/fault-proxy.ts";
import { appIn, emptyLayout, environmentIn, pauses, pushImage, repositoryAt } from "./support.ts";

const [SERVICE, ISSUER] = ["the registry", "the token service"];
const ann = { kind: "password" as const, username: "ann", password: new Redacted("open sesame") };

/** A token service as the distribution project describes it; its tokens are signed, and the registry checks them. */
describe.skipIf(!hasDockerRegistry() || !installed("openssl"))("a registry with a token service", () => {
  let service: Server;
  let registry: DockerRegistry;
  let proxy: FaultProxy;
  let asked: { method: string; scopes: string[]; user: string }[] = [];
  /** With `cut` the answer breaks off. */
  let refusals: { status: number; headers?: Record<string, string>; cut?: true }[] = [];
  let lifetime = 300;

  beforeAll(async () => {
    const dir = await folder();
    const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem"];
    await run("openssl", ["req", "-x509", ...key, "-out", "cert.pem", "-subj", "/CN=tokens", "-days", "2"], {
      cwd: dir,
    });
    const privateKey = createPrivateKey(await readFile(join(dir, "key.pem")));
    const certificate = (await readFile(join(dir, "cert.pem"), "utf8")).replace(/-----[^-]+-----|\s/g, "");
    const token = (subject: string, scopes: string[]) => {
      const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
      const now = Math.floor(Date.now() / 1000);
      const access = scopes.map((scope) => {
        const [type, name, actions = ""] = scope.split(":");
        return { type, name, actions: actions.split(",") };
      });
      const times = { nbf: now - 100, iat: now - 100, exp: now + lifetime };
      const claims = { iss: ISSUER, aud: SERVICE, sub: subject, jti: randomUUID(), access, ...times };
      const text = `${encode({ typ: "JWT", alg: "RS256", x5c: [certificate] })}.${encode(claims)}`;
      return `${text}.${createSign("RSA-SHA256").update(text).sign(privateKey).toString("base64url")}`;
    };
    service = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const form = new URLSearchParams(Buffer.concat(chunks).toString());
      const url = new URL(request.url ?? "", "http://tokens.test");
      const scopes =
        request.method === "POST" ? (form.get("scope") ?? "").split(" ") : url.searchParams.getAll("scope");
      const [, pair = ""] = (request.headers.authorization ?? "").split(" ");
      const [name = "", password] = Buffer.from(pair, "base64").toString().split(":");
      const user = form.get("refresh_token") === "of ann" ? "ann, by her token" : name;
      asked.push({ method: request.method ?? "", scopes, user });
      const refusal = refusals.shift();
      if (refusal?.cut) return void response.writeHead(refusal.status).write('{"token":', () => response.destroy());
      if (refusal) return void response.writeHead(refusal.status, refusal.headers).end();
      if (name !== "" && password !== "open sesame") {
        return void response
          .writeHead(401)
          .end(JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "wrong" }] }));
      }
      // Who has not signed in may only pull.
      const allowed = user === "" ? scopes.map((scope) => scope.replace("pull,push", "pull")) : scopes;
      response.end(JSON.stringify({ token: token(user, allowed) }));
    }).listen(0, "127.0.0.1");
    await once(service, "listening");
    const realm = `http://127.0.0.1:${(service.address() as AddressInfo).port}/token`;
    const auth = { realm, service: SERVICE, issuer: ISSUER, rootcertbundle: join(dir, "cert.pem") };
    registry = await startDockerRegistry({ dir: await folder(), auth });
    proxy = await faultProxy(registry.port);
  });
  afterAll(async () => {
    await proxy?.close();
    await registry?.close();
    service?.closeAllConnections();
    service?.close();
  });
  beforeEach(() => {
    asked = [];
    refusals = [];
    lifetime = 300;
  });

  async function push(repository: ReturnType<typeof repositoryAt>) {
    const layout = await emptyLayout();
    const image = await appIn(layout, await environmentIn(layout));
    await pushImage({ repository, layout, image: image.descriptor, tag: "1", chunkSize: 64 * 1024 });
    expect((await repository.resolve("1"))?.digest).toBe(image.digest);
    await repository.close();
  }

  it("lets in who signs in there with a password; one token does for a whole push", async () => {
    await push(repositoryAt(proxy.host, { credentials: ann }));
    expect(asked).toEqual([{ method: "GET", scopes: ["repository:team/web-image:pull,push"], user: "ann" }]);
  });

  it("lets in who has an identity token", async () => {
    await push(repositoryAt(proxy.host, { credentials: { kind: "identity", token: new Redacted("of ann") } }));
    expect(asked).toEqual([
      { method: "POST", scopes: ["repository:team/web-image:pull,push"], user: "ann, by her token" },
    ]);
  });

  it("is asked for another token when one has run out", async () => {
    const repository = repositoryAt(proxy.host, { credentials: ann });
    lifetime = -200; // the registry allows for a minute of difference between clocks
    await failureOf(repository.resolve("none"));
    lifetime = 300;
    expect(await repository.resolve("none")).toBeUndefined();
    expect(asked).toHaveLength(2);
    await repository.close();
  });

  it("refuses to let somebody push who may only pull, and says that nobody has signed in", async () => {
    const error = await failureOf(push(repositoryAt(proxy.host)));
    expect(error).toMatchObject({ code: "REGISTRY_REFUSED", exit: 3, hint: expect.stringContaining("no credentials") });
    const pull = repositoryAt(proxy.host, { access: "pull" });
    expect((await pull.resolve("1"))?.size).toBeGreaterThan(0);
    await pull.close();
  });

  it("tells a wrong password as what the token service said", async () => {
    const credentials = { ...ann, password: new Redacted("closed sesame") };
    const repository = repositoryAt(proxy.host, { credentials });
    const error = await failureOf(repository.resolve("1"));
    expect(error).toMatchObject({ code: "REGISTRY_REFUSED", message: expect.stringContaining("UNAUTHORIZED: wrong") });
    // One signs in to the registry, whoever keeps its passwords.
    expect(error.next).toEqual([`docker login ${proxy.host}   # or: skopeo login, podman login`]);
    expect(error.hint).toContain(`${proxy.host} refuses the stored credentials`);
    expect(error.message).toMatch(/^127\.0\.0\.1:\d+ answered 401/);
    expect(error.message).not.toContain(`${proxy.host} answered`);
    expect(JSON.stringify(error)).not.toContain("sesame");
    await repository.close();
  });

  it("is waited for when it is busy, and told of when it stays so", async () => {
    const { asked: waited, wait } = pauses();
    refusals = [{ status: 429, headers: { "retry-after": "3" } }, { status: 503 }];
    await push(repositoryAt(proxy.host, { credentials: ann, wait }));
    expect(waited[0]).toBe(3000);
    expect(waited).toHaveLength(2);
    refusals = Array.from({ length: 10 }, () => ({ status: 503 }));
    const repository = repositoryAt(proxy.host, { credentials: ann, wait });
    const error = await failureOf(repository.resolve("1"));
    expect(error).toMatchObject({ code: "REGISTRY_UNAVAILABLE", message: expect.stringContaining("a token for") });
    expect(error.hint).toContain("appctl tried 6 times");
    refusals = [{ status: 429, headers: { "retry-after": "3600" } }];
    const long = await failureOf(repository.resolve("1"));
    expect(long).toMatchObject({
      code: "REGISTRY_UNAVAILABLE",
      hint: expect.stringMatching(/^the registry asks for a pause/),
    });
    expect(long.message).toContain("answered 429");
    expect(long.message).not.toContain(`${proxy.host} answered`);
    await repository.close();
  });

  it("is asked again when its answer breaks off, and told of when each does", async () => {
    const { asked: waited, wait } = pauses();
    refusals = [{ status: 200, cut: true }];
    await push(repositoryAt(proxy.host, { credentials: ann, wait }));
    expect(asked).toHaveLength(2);
    expect(waited).toHaveLength(1);
    refusals = Array.from({ length: 10 }, () => ({ status: 200, cut: true }));
    const repository = repositoryAt(proxy.host, { credentials: ann, wait });
    const error = await failureOf(repository.resolve("1"));
    expect(error).toMatchObject({ code: "REGISTRY_UNREACHABLE", exit: 6 });
    expect(error.message).toMatch(/^127\.0\.0\.1:\d+ does not answer/);
    expect(error.message).not.toContain(`${proxy.host} does not answer`);
    await repository.close();
  });

  it("gets no password when it is not spoken to by HTTPS, though the registry is", async () => {
    const { Authorizer } = await import("../../../src/oci/registry/authorizer.ts");
    const authorizer = new Authorizer({ scopes: [], plain: false, credentials: async () => ann });
    const challenge = { scheme: "bearer", parameters: { realm: "http://tokens.test/token" } };
    const about = { host: "r.test", subject: "r.test/a:1", action: "asked for" };
    const ask = () => Promise.reject(new Error("it was asked"));
    const error = await failureOf(authorizer.answer([challenge], undefined, ask, about));
    expect(error).toMatchObject({ code: "REGISTRY_ERROR", message: expect.stringContaining("http://tokens.test") });
  });
});
