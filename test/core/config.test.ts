import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { formatApiKey } from "../../src/core/api-key.ts";
import { resolveConfig } from "../../src/core/config.ts";
import { isAppctlError } from "../../src/core/errors.ts";
import { temporaryDirectory } from "../engine/helpers.ts";

let cwd: string;
let env: NodeJS.ProcessEnv;
const key = (endpoint: string) => formatApiKey({ endpoint, secret: new Uint8Array(32).fill(7) });

beforeEach(() => {
  const root = temporaryDirectory();
  cwd = join(root, "project", "src");
  mkdirSync(cwd, { recursive: true });
  mkdirSync(join(root, "config", "appctl"), { recursive: true });
  env = { HOME: root, XDG_CONFIG_HOME: join(root, "config") };
});
const userFile = (text: string) => writeFileSync(join(env["XDG_CONFIG_HOME"] as string, "appctl", "config.yaml"), text);
const projectFile = (text: string) => writeFileSync(join(cwd, "..", "appctl.yaml"), text);

describe("configuration", () => {
  it("has defaults", async () => {
    const config = await resolveConfig({}, env, cwd);
    expect(config).toMatchObject({ project: "default", domain: "development", port: 7654, endpoint: undefined });
    expect(config.apiKey).toBeUndefined();
  });

  it("takes a flag before the environment, that before the project's file, that before the user's", async () => {
    userFile("project: user\ndomain: user\nport: 1001\n");
    expect(await resolveConfig({}, env, cwd)).toMatchObject({ project: "user", port: 1001 });
    projectFile("project: file\n");
    expect(await resolveConfig({}, env, cwd)).toMatchObject({ project: "file", domain: "user" });
    env["APPCTL_PROJECT"] = "env";
    expect(await resolveConfig({}, env, cwd)).toMatchObject({ project: "env" });
    expect(await resolveConfig({ project: "flag" }, env, cwd)).toMatchObject({ project: "flag", domain: "user" });
  });

  it("takes a registry from a flag, the environment or a file, and says what one looks like", async () => {
    projectFile("registry: ghcr.io/file\n");
    expect((await resolveConfig({}, env, cwd)).registry).toBe("ghcr.io/file");
    env["APPCTL_REGISTRY"] = "ghcr.io/env";
    expect((await resolveConfig({}, env, cwd)).registry).toBe("ghcr.io/env");
    expect((await resolveConfig({ registry: "localhost:5000" }, env, cwd)).registry).toBe("localhost:5000");
    await expect(resolveConfig({ registry: "my-org" }, env, cwd)).rejects.toMatchObject({
      faults: [{ path: "registry", message: expect.stringContaining("such as ghcr.io/my-org") }],
    });
    await expect(resolveConfig({ registry: "http://ann:sesame@localhost:5000/x" }, env, cwd)).rejects.toMatchObject({
      faults: [
        {
          message: expect.stringMatching(/^"http:\/\/…@localhost:5000\/x" must be/),
          hint: expect.stringContaining("docker login"),
        },
      ],
    });
    await expect(resolveConfig({ endpoint: "http://ann:sesame@localhost" }, env, cwd)).rejects.toMatchObject({
      faults: [{ path: "endpoint", message: expect.stringMatching(/^"http:\/\/…@localhost" must be/) }],
    });
  });

  it("takes the runtime from a flag, the environment or the user's file, and not from a project's", async () => {
    expect((await resolveConfig({}, env, cwd)).runtime).toBe("process");
    userFile("runtime: docker\n");
    expect((await resolveConfig({}, env, cwd)).runtime).toBe("docker");
    env["APPCTL_RUNTIME"] = "process";
    expect((await resolveConfig({}, env, cwd)).runtime).toBe("process");
    expect((await resolveConfig({ runtime: "docker" }, env, cwd)).runtime).toBe("docker");
    const unknown = await resolveConfig({ runtime: "podman" }, env, cwd).catch((error) => error);
    expect(unknown).toMatchObject({
      exit: 2,
      faults: [{ path: "runtime", message: expect.stringContaining("process or docker") }],
    });
    projectFile("runtime: process\n");
    const misplaced = await resolveConfig({}, env, cwd).catch((error) => error);
    expect(misplaced.faults).toEqual([
      expect.objectContaining({ path: expect.stringMatching(/appctl\.yaml: runtime$/) }),
    ]);
  });

  it("takes the runtime that the platform had before, when nothing else says one", async () => {
    const state = join(env["HOME"] as string, ".local", "state", "appctl");
    mkdirSync(state, { recursive: true });
    const ran = (...args: string[]) => writeFileSync(join(state, "platform.json"), JSON.stringify({ args }));
    ran("--port", "7654", "--runtime", "docker");
    expect((await resolveConfig({}, env, cwd)).runtime).toBe("docker");
    expect((await resolveConfig({ runtime: "process" }, env, cwd)).runtime).toBe("process");
    userFile("runtime: process\n");
    expect((await resolveConfig({}, env, cwd)).runtime).toBe("process");
    userFile("");
    ran("--port", "7654");
    expect((await resolveConfig({}, env, cwd)).runtime).toBe("process");
  });

  it("takes key and endpoint from APPCTL_API_KEY, from a file it names, and from the configuration", async () => {
    projectFile("apiKeyFile: ../key\n");
    writeFileSync(join(cwd, "..", "..", "key"), `${key("https://c.example")}\n`);
    expect((await resolveConfig({}, env, cwd)).endpoint).toBe("https://c.example");
    writeFileSync(join(cwd, "key"), `${key("https://b.example")}\n`);
    env["APPCTL_API_KEY_FILE"] = "key";
    expect((await resolveConfig({}, env, cwd)).endpoint).toBe("https://b.example");
    env["APPCTL_API_KEY"] = key("https://a.example");
    const config = await resolveConfig({}, env, cwd);
    expect(config.endpoint).toBe("https://a.example");
    expect(config.apiKey?.reveal()).toBe(env["APPCTL_API_KEY"]);
    expect(JSON.stringify(config)).not.toContain("appctl_");
    expect((await resolveConfig({ endpoint: "https://d.example/" }, env, cwd)).endpoint).toBe("https://d.example");
  });

  it("never sends a key to an address that a file of a cloned folder names", async () => {
    projectFile("endpoint: http://evil.example\n");
    expect((await resolveConfig({}, env, cwd)).endpoint).toBe("http://evil.example");
    env["APPCTL_API_KEY"] = key("https://mine.example");
    expect((await resolveConfig({}, env, cwd)).endpoint).toBe("https://mine.example");
  });

  it("tells every fault at once", async () => {
    projectFile("project: UPPER\ncolour: blue\nport: many\n");
    env["APPCTL_API_KEY"] = "appctl_broken";
    const error = await resolveConfig({ endpoint: "nowhere" }, env, cwd).catch((e: unknown) => e);
    if (!isAppctlError(error)) throw error;
    expect(error.exit).toBe(2);
    expect(error.faults.map((fault) => fault.path.split(": ").at(-1))).toEqual([
      "colour",
      "port",
      "project",
      "APPCTL_API_KEY",
      "endpoint",
    ]);
    expect(JSON.stringify(error)).not.toContain("broken");
  });

  it("refuses a configuration file that does not exist, and one that is not YAML", async () => {
    await expect(resolveConfig({ config: "none.yaml" }, env, cwd)).rejects.toMatchObject({ code: "CONFIG_NOT_FOUND" });
    projectFile("a: [");
    await expect(resolveConfig({}, env, cwd)).rejects.toMatchObject({ code: "INVALID_CONFIG" });
  });

  it("says that a file cannot be read, not that it is no YAML", async () => {
    await expect(resolveConfig({ config: ".." }, env, cwd)).rejects.toMatchObject({
      faults: [{ path: join(cwd, ".."), message: expect.stringMatching(/^cannot be read: EISDIR/) }],
    });
  });
});
