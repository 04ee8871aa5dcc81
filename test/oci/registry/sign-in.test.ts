import { Buffer } from "node:buffer";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { pauseBefore } from "../../../src/http/retry.ts";
import { parseChallenges } from "../../../src/oci/registry/challenge.ts";
import { askCredentialHelper } from "../../../src/oci/registry/credential-helper.ts";
import { authFiles, type Credentials, findCredentials } from "../../../src/oci/registry/credentials.ts";
import { failureOf, folder } from "../../image/support.ts";
import { asOther, mayActAsOther } from "../../support/other-user.ts";

const { signal } = new AbortController();

describe("a challenge", () => {
  it.each([
    ['Basic realm="a registry"', [{ scheme: "basic", parameters: { realm: "a registry" } }]],
    ["Basic", [{ scheme: "basic", parameters: {} }]],
    [
      'Bearer realm="https://a.test/token",service="a.test",scope="repository:a/b:pull,push"',
      [
        {
          scheme: "bearer",
          parameters: { realm: "https://a.test/token", service: "a.test", scope: "repository:a/b:pull,push" },
        },
      ],
    ],
    [
      ['Basic realm="x"', 'bearer Realm=y , service = "a\\"b"'],
      [
        { scheme: "basic", parameters: { realm: "x" } },
        { scheme: "bearer", parameters: { realm: "y", service: 'a"b' } },
      ],
    ],
    [undefined, []],
    ['realm="of nobody"', []],
  ])("%j", (header, expected) => {
    expect(parseChallenges(header)).toEqual(expected);
  });
});

describe("credentials", () => {
  const auth = (text: string) => ({ auth: Buffer.from(text).toString("base64") });

  async function find(config: unknown, repository = "org/name", host = "r.test", bin?: string) {
    const dir = await folder();
    await mkdir(join(dir, ".docker"));
    await writeFile(join(dir, ".docker/config.json"), typeof config === "string" ? config : JSON.stringify(config));
    const PATH = bin ?? join(dir, "nothing");
    return shown(await findCredentials({ host, repository }, { HOME: dir, XDG_RUNTIME_DIR: dir, PATH }, signal));
  }

  function shown(found: Credentials | undefined) {
    if (found?.kind !== "password") return found && { kind: found.kind, token: found.token.reveal() };
    return { username: found.username, password: found.password.reveal() };
  }

  const ann = { username: "ann", password: "open:sesame" };

  it.each([
    ["the registry's entry", { auths: { "r.test": auth("ann:open:sesame") } }, ann],
    ["an address as older Dockers wrote it", { auths: { "https://r.test/v1/": auth("ann:open:sesame") } }, ann],
    ["username and password", { auths: { "r.test": ann } }, ann],
    [
      "the closest",
      { auths: { "r.test": auth("a:b"), "r.test/org": auth("ann:open:sesame"), "r.test/or": auth("c:d") } },
      ann,
    ],
    [
      "an identity token",
      { auths: { "r.test": { ...auth("x:"), identitytoken: "abc" } } },
      { kind: "identity", token: "abc" },
    ],
    ["a registry token", { auths: { "r.test": { registrytoken: "abc" } } }, { kind: "registry", token: "abc" }],
    ["none of another registry", { auths: { "other.test": auth("a:b"), "r.test.evil": auth("a:b") } }, undefined],
    ["none in an empty entry", { auths: { "r.test": {} } }, undefined],
    ["none in an empty file", {}, undefined],
  ])("takes %s", async (_, config, expected) => {
    expect(await find(config)).toEqual(expected);
  });

  it("knows Docker Hub's own key", async () => {
    const config = { auths: { "https://index.docker.io/v1/": auth("ann:open:sesame") } };
    expect(await find(config, "library/node", "docker.io")).toEqual(ann);
  });

  it("are none where there is no file, but a file that is named has to be there", async () => {
    const dir = await folder();
    const wanted = { host: "r.test", repository: "a" };
    expect(await findCredentials(wanted, { HOME: dir, XDG_RUNTIME_DIR: dir }, signal)).toBeUndefined();
    const error = await failureOf(findCredentials(wanted, { REGISTRY_AUTH_FILE: join(dir, "none") }, signal));
    expect(error).toMatchObject({ code: "INVALID_AUTH_FILE", message: expect.stringContaining(join(dir, "none")) });
  });

  it.each<[string, NodeJS.ProcessEnv, NodeJS.Platform, string[]]>([
    [
      "on Linux",
      { XDG_RUNTIME_DIR: "/run/user/7" },
      "linux",
      ["/run/user/7/containers/auth.json", "/h/.config/containers/auth.json", "/h/.docker/config.json"],
    ],
    [
      "on Linux without XDG_RUNTIME_DIR",
      { XDG_CONFIG_HOME: "/c" },
      "linux",
      ["/run/containers/7/auth.json", "/c/containers/auth.json", "/h/.docker/config.json"],
    ],
    [
      "elsewhere",
      { XDG_RUNTIME_DIR: "/run/user/7" },
      "darwin",
      ["/h/.config/containers/auth.json", "/h/.docker/config.json"],
    ],
    ["with DOCKER_CONFIG", { DOCKER_CONFIG: "/d", XDG_RUNTIME_DIR: "/run/user/7" }, "linux", ["/d/config.json"]],
    ["with REGISTRY_AUTH_FILE", { DOCKER_CONFIG: "/d", REGISTRY_AUTH_FILE: "/a.json" }, "linux", ["/a.json"]],
  ])("are looked for where the tools that sign in keep them %s", (_, env, platform, expected) => {
    const files = authFiles({ HOME: "/h", ...env }, { platform, getuid: () => 7, sharedDir: "/run/containers" });
    expect(files.map(({ file }) => file)).toEqual(expected);
  });

  it("are those of the first file that has any for the registry", async () => {
    const dir = await folder();
    const env = { HOME: dir, XDG_RUNTIME_DIR: join(dir, "run") };
    const write = async (file: string, user: string, ...hosts: string[]) => {
      await mkdir(join(dir, file, ".."), { recursive: true });
      const auths = Object.fromEntries(hosts.map((host) => [host, auth(`${user}:x`)]));
      await writeFile(join(dir, file), JSON.stringify({ auths }));
    };
    await write(".docker/config.json", "docker", "r.test", "b.test", "c.test");
    await write(".config/containers/auth.json", "config", "r.test", "b.test");
    if (process.platform === "linux") await write("run/containers/auth.json", "runtime", "r.test");
    const user = async (host: string) => {
      const found = await findCredentials({ host, repository: "a" }, env, signal);
      return found?.kind === "password" && found.username;
    };
    expect(await user("r.test")).toBe(process.platform === "linux" ? "runtime" : "config");
    expect(await user("b.test")).toBe("config");
    expect(await user("c.test")).toBe("docker");
    expect(await user("d.test")).toBe(false);
  });

  it.skipIf(!mayActAsOther())(
    "are told where a file is closed, in the system's own directory they are none",
    async () => {
      const dir = await folder();
      for (const closed of ["home/.docker", "shared", "other-home"])
        await mkdir(join(dir, closed), { recursive: true });
      await writeFile(join(dir, "home/.docker/config.json"), "{}");
      for (const closed of ["home/.docker", "shared"]) await chmod(join(dir, closed), 0o700);
      await chmod(dir, 0o755);
      const system = { platform: "linux" as const, getuid: () => 65534, sharedDir: join(dir, "shared") };
      const found = (home: string) =>
        findCredentials({ host: "r.test", repository: "a" }, { HOME: join(dir, home) }, signal, system);
      await asOther(async () => {
        await expect(found("home")).rejects.toMatchObject({
          code: "INVALID_AUTH_FILE",
          message: expect.stringContaining(".docker/config.json"),
        });
        // Where root has run Podman its folder is closed to others, who have nothing there.
        expect(await found("other-home")).toBeUndefined();
      });
    },
  );

  it("does not show what is in a file that is no JSON", async () => {
    const error = await failureOf(find('{"auths": {"r.test": {"auth": secret-thing'));
    expect(error.code).toBe("INVALID_AUTH_FILE");
    expect(JSON.stringify([error.message, error.hint, error.details, String(error.cause)])).not.toContain(
      "secret-thing",
    );
  });

  describe("of a helper program", () => {
    /** A folder with `docker-credential-<name>`: a shell script that has the server in `$server`. */
    async function helpers(scripts: Record<string, string>): Promise<string> {
      const bin = await folder();
      for (const [name, script] of Object.entries(scripts)) {
        const file = join(bin, `docker-credential-${name}`);
        await writeFile(file, `#!/bin/sh\nread server\n[ "$1" = get ] || exit 9\n${script}\n`);
        await chmod(file, 0o755);
      }
      return `${bin}:${process.env["PATH"]}`;
    }
    const gives = (user: string, secret: string) =>
      `printf '{"ServerURL":"%s","Username":"${user}","Secret":"${secret}"}' "$server"`;

    it("asks the registry's own, else the one for all, else the file", async () => {
      const bin = await helpers({
        own: gives("own", "1"),
        all: `[ "$server" = r.test ] || [ "$server" = b.test ] || { echo credentials not found in native keychain; exit 1; }\n${gives("all", "2")}`,
      });
      const config = {
        credHelpers: { "r.test": "own" },
        credsStore: "all",
        auths: { "r.test": auth("file:3"), "b.test": auth("file:3"), "c.test": auth("file:3") },
      };
      expect(await find(config, "a", "r.test", bin)).toEqual({ username: "own", password: "1" });
      expect(await find(config, "a", "b.test", bin)).toEqual({ username: "all", password: "2" });
      expect(await find(config, "a", "c.test", bin)).toEqual({ username: "file", password: "3" });
    });

    it.each([
      [
        "in credHelpers, as Docker writes it",
        { credHelpers: { "https://index.docker.io/v1/": "all" } },
        "https://index.docker.io/v1/",
      ],
      ["in credHelpers, as podman writes it", { credHelpers: { "docker.io": "all" } }, "docker.io"],
      ["in auths", { credsStore: "all", auths: { "docker.io": {} } }, "docker.io"],
      ["nowhere", { credsStore: "all" }, "https://index.docker.io/v1/"],
    ])("is asked for Docker Hub by the name that it has %s", async (_, config, server) => {
      const bin = await helpers({ all: `${gives("ann", "of %s")} "$server"` });
      expect(await find(config, "library/node", "docker.io", bin)).toEqual({
        username: "ann",
        password: `of ${server}`,
      });
    });

    it("is asked for another registry by the name that it has in the file, else by its host", async () => {
      const bin = await helpers({
        all: `case "$server" in https://r.test | b.test) ;; *) echo credentials not found; exit 1 ;; esac\n${gives("ann", "1")}`,
      });
      const config = { credsStore: "all", auths: { "https://r.test": {} } };
      expect(await find(config, "a", "r.test", bin)).toEqual({ username: "ann", password: "1" });
      expect(await find(config, "a", "b.test", bin)).toEqual({ username: "ann", password: "1" });
      expect(await find(config, "a", "c.test", bin)).toBeUndefined();
    });

    it("takes <token> for an identity token", async () => {
      const bin = await helpers({ all: gives("<token>", "1") });
      const found = await find({ credsStore: "all" }, "library/node", "docker.io", bin);
      expect(found).toMatchObject({ kind: "identity" });
    });

    it("says that it did not answer in time only when it had that time", async () => {
      const PATH = await helpers({ all: "exec sleep 3600" });
      const error = await failureOf(askCredentialHelper("all", "r.test", { PATH }, signal, 100));
      expect(error).toMatchObject({
        code: "CREDENTIAL_HELPER_FAILED",
        message: expect.stringContaining("did not answer within 0.1 seconds"),
      });
    });

    it.each([
      ["is not on the PATH", "none", ""],
      ["ended with exit code 3", "all", "echo my-secret; echo my-secret >&2; exit 3"],
      ["was killed by SIGSEGV", "all", "echo my-secret; kill -SEGV $$"],
      ["was killed by SIGTERM", "all", "echo my-secret; kill -TERM $$"],
      ["did not answer with JSON", "all", "echo my-secret"],
      ["answered without Username and Secret", "all", `echo '{"Secret":"my-secret"}'`],
      ["is not the name of a program", "../all", ""],
    ])("says that it %s, and nothing that is secret", async (why, name, script) => {
      const bin = await helpers({ all: script });
      const error = await failureOf(find({ credsStore: name }, "a", "r.test", bin));
      expect(error).toMatchObject({ code: "CREDENTIAL_HELPER_FAILED", exit: 3, message: expect.stringContaining(why) });
      expect(JSON.stringify([error.message, error.hint, error.details, String(error.cause)])).not.toContain(
        "my-secret",
      );
    });
  });
});

describe("the pause before another try", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  it.each([
    ["7", 7000],
    ["0", 0],
    ["Thu, 01 Jan 2026 00:00:05 GMT", 5000],
    ["Thu, 01 Jan 2025 00:00:05 GMT", 0],
  ])("is what Retry-After says: %s", (header, ms) => {
    expect(pauseBefore(3, header, { now, chance: 0.7 })).toBe(ms);
  });

  it("grows, and is never the same for two clients", () => {
    const of = (chance: number) =>
      [0, 1, 2, 3, 4, 5, 9].map((attempt) => pauseBefore(attempt, undefined, { now, chance }));
    expect(of(0)).toEqual([200, 400, 800, 1600, 3200, 5000, 5000]);
    expect(of(1)).toEqual([100, 200, 400, 800, 1600, 2500, 2500]);
    expect(pauseBefore(0, "soon", { now, chance: 0 })).toBe(200);
  });
});
