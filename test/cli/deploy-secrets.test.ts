import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Client } from "../../src/client/client.ts";
import { offeredSecrets, secretProvider } from "../../src/commands/shared/deploy-secrets.ts";
import { commandLine } from "../../src/core/command-line.ts";
import { type FakeOptions, fakeIo } from "../ui/fake-io.ts";

const dir = mkdtempSync(join(tmpdir(), "appctl-offers-"));
const scope = { project: "default", domain: "development" };
const server = createServer((_, res) => {
  res.writeHead(200, { "content-type": "application/json" });
  res.end(JSON.stringify({ secrets: [{ name: "EXISTING" }] }));
});
let client: Client;
beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  client = new Client({ endpoint: `http://127.0.0.1:${(server.address() as { port: number }).port}` });
});
afterAll(async () => {
  await client.close();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const offers = (flags: string[], options: FakeOptions = {}) =>
  offeredSecrets(fakeIo({ cwd: dir, ...options }).io, flags);

/** Provides `missing` for an app; the offers are what `--secret` said. */
async function provide(flags: string[], missing: string[], last: string | undefined, app: string) {
  const env = { VALUE: "from the environment" };
  const fake = fakeIo({ cwd: dir, env });
  const offered = await offeredSecrets(fake.io, flags);
  const next = (words: string[]) => commandLine(words, scope);
  const provider = secretProvider(fake.io, { client, scope, next, offered, last, beforePrompt: () => undefined });
  const values = await provider(
    missing.map((key) => ({ key, mount: "env" as const })),
    app,
  );
  return {
    values: Object.fromEntries([...values].map(([key, value]) => [key, Buffer.from(value.reveal()).toString()])),
    ...fake,
  };
}

describe("--secret", () => {
  it("reads a file, stdin and the environment, byte for byte", async () => {
    writeFileSync(join(dir, "value"), "from a file\n");
    const values = await offers(["A=@value", "B=-", "C=env:VALUE"], { stdin: "from stdin\n", env: { VALUE: "a=b" } });
    expect([...values].map(([key, value]) => [key, Buffer.from(value.reveal()).toString()])).toEqual([
      ["A", "from a file\n"],
      ["B", "from stdin\n"],
      ["C", "a=b"],
    ]);
  });

  it("tells every fault at once, and no value", async () => {
    const error = await offers(["A=hunter2", "B=env:UNSET", "C=@gone", "=@x", "hunter3", "D=env:HOME", "D=env:HOME"], {
      env: { HOME: "/h" },
    }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ exit: 2, code: "INVALID_SECRET_FLAG" });
    const { faults } = error as { faults: { path: string; message: string }[] };
    expect(faults.map(({ path }) => path)).toEqual([
      "--secret A",
      "--secret B",
      "--secret C",
      "--secret ",
      "--secret …",
      "--secret D",
    ]);
    expect(inspect(error)).not.toMatch(/hunter/);
  });

  it("refuses stdin twice", async () => {
    await expect(offers(["A=-", "B=-"], { stdin: "x" })).rejects.toMatchObject({ exit: 2 });
  });
});

describe("the secrets of a deploy", () => {
  it("come from --secret", async () => {
    expect((await provide(["A=env:VALUE"], ["A"], "web", "web")).values).toEqual({ A: "from the environment" });
  });

  it("that are missing and not offered: exit 2 with the commands to type", async () => {
    await expect(provide([], ["AUTH_API_KEY", "MY_APPCTL_API_KEY"], "web", "web")).rejects.toMatchObject({
      code: "MISSING_SECRETS",
      exit: 2,
      message: "web needs 2 secrets that do not exist yet: AUTH_API_KEY, MY_APPCTL_API_KEY",
      next: [
        "appctl create secret --name AUTH_API_KEY --value-file -",
        "appctl create admin-api-key --name MY_APPCTL_API_KEY",
      ],
    });
  });

  it("that exist stay as they are, and stderr says so", async () => {
    const { values, stderr } = await provide(["EXISTING=env:VALUE"], [], "web", "web");
    expect(values).toEqual({});
    expect(stderr()).toContain("Secret EXISTING exists already, unchanged.");
  });

  it("that no app asks for are a usage error, but only when the last app has been asked", async () => {
    await expect(provide(["TYPO=env:VALUE"], [], "web", "web")).rejects.toMatchObject({
      code: "UNKNOWN_SECRET",
      exit: 2,
    });
    await expect(provide(["TYPO=env:VALUE"], [], undefined, "web")).rejects.toMatchObject({ code: "UNKNOWN_SECRET" });
    expect((await provide(["FOR_WEB=env:VALUE"], [], "web", "its-dependency")).values).toEqual({});
  });
});
