import { spawn } from "node:child_process";
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cli, get, type Result, World } from "./harness.ts";

// Bytes in = bytes in the app, for every way in and every kind of value that people really have.
const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const values: Record<string, string> = {
  PLAIN: "s3cret-value",
  TRAILING_NEWLINE: "value\n",
  CRLF: "one\r\ntwo\r\n",
  PEM: pem,
  QUOTES: `it's "quoted" \`$HOME\` \\n`,
  EQUALS: "a=b=c==",
  SPACES: "  leading and trailing  ",
  UNICODE: "pässwörd 🔑 漢字",
  LARGE: randomBytes(32 * 1024).toString("hex"),
};
const ways = ["file", "stdin", "prompt"] as const;
const nameOf = (way: string, name: string) => `${way}_${name}`.toUpperCase();

let world: World;
beforeAll(async () => {
  world = await World.create();
});
afterAll(() => world.close());

/** Types at a hidden prompt on a real pseudo-terminal, in a bracketed paste, as a terminal sends it. */
async function atPrompt(name: string, value: string): Promise<Result> {
  const command = [process.execPath, cli, "create", "secret", "--name", name].map((word) => `'${word}'`).join(" ");
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    cwd: world.home,
    env: { ...world.env, TERM: "xterm" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let asked = false;
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
    if (!asked && stdout.includes(name) && stdout.includes("\x1b[?2004h")) {
      asked = true;
      child.stdin.write(`\x1b[200~${value}\x1b[201~\r`);
    }
  });
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout, stderr: "" };
}

describe("secrets, byte for byte", () => {
  it.each(Object.keys(values))("%s: through a file, stdin and a prompt", async (name) => {
    const value = values[name] as string;
    const file = join(world.home, "value");
    writeFileSync(file, value);
    await world.ok(["create", "secret", "--name", nameOf("file", name), "--value-file", file]);
    await world.ok(["create", "secret", nameOf("stdin", name), "--value-file", "-"], { stdin: value });
    const prompted = await atPrompt(nameOf("prompt", name), value);
    expect(prompted.code, prompted.stdout).toBe(0);
    expect(prompted.stdout).not.toContain(value.trim());
  });

  it("arrive in the app unchanged, as variables and as files", async () => {
    const names = ways.flatMap((way) => Object.keys(values).map((name) => nameOf(way, name)));
    const binary = randomBytes(5000);
    await world.ok(["create", "secret", "--name", "BINARY", "--binary", "--value-file", "-"], { stdin: binary });
    const dir = world.folder("bytes", {
      "app.ts": `
        import { createHash } from "node:crypto";
        import { readFileSync, statSync } from "node:fs";
        import { App, Secret } from "appctl";
        const names = ${JSON.stringify(names)};
        const sha = (value: any) => createHash("sha256").update(value).digest("hex");
        export default new App({
          name: "bytes",
          requiresAuth: false,
          secrets: [
            ...names.map((key) => new Secret({ key })),
            new Secret({ key: "BINARY", mount: "file" }),
            new Secret({ key: "FILE_PEM", mount: "file", envVar: "PEM_PATH" }),
          ],
          frameworkApp: { fetch: () => Response.json({
            ...Object.fromEntries(names.map((name) => [name, sha(process.env[name] ?? "")])),
            BINARY: sha(readFileSync(process.env.BINARY_FILE!)),
            PEM_FILE: sha(readFileSync(process.env.PEM_PATH!)),
            mode: (statSync(process.env.BINARY_FILE!).mode & 0o777).toString(8),
          }) },
        });`,
    });
    const endpoint = (await world.ok(["deploy", "apps", "app.ts", "bytes", "-o", "url"], { cwd: dir })).trim();
    const { body } = await get(endpoint);
    const sha = (value: string | Uint8Array) => createHash("sha256").update(value).digest("hex");
    const expected = Object.fromEntries(
      ways.flatMap((way) => Object.entries(values).map(([name, value]) => [nameOf(way, name), sha(value)])),
    );
    expect(JSON.parse(body)).toEqual({ ...expected, BINARY: sha(binary), PEM_FILE: sha(pem), mode: "400" });
  });

  it("refuses an empty value and one with a NUL, and says what to do", async () => {
    const empty = await world.run(["create", "secret", "--name", "EMPTY", "--value-file", "-"], { stdin: "" });
    expect([empty.code, empty.stderr]).toEqual([2, expect.stringContaining("empty")]);
    const nul = await world.run(["create", "secret", "--name", "NUL", "--value-file", "-"], { stdin: "a\0b" });
    expect([nul.code, nul.stderr]).toEqual([2, expect.stringContaining('mount: "file"')]);
    const file = join(world.home, "nul");
    writeFileSync(file, "a\0b");
    expect((await world.run(["create", "secret", "--name", "NUL", "--value-file", file])).code).toBe(2);
    expect((await atPrompt("NUL", "a\0b")).code).toBe(2);
    expect((await atPrompt("EMPTY", "")).code).toBe(2);
    const { secrets } = await world.json<{ secrets: { name: string }[] }>(["get", "secrets"]);
    expect(secrets.map(({ name }) => name).filter((name) => name === "NUL" || name === "EMPTY")).toEqual([]);
  });

  it("refuses an app that wants a binary secret in a variable, before anything is built", async () => {
    const dir = world.folder("unfit", {
      "app.ts": `import { App, Secret } from "appctl";
        export default new App({ name: "unfit", secrets: [new Secret({ key: "BINARY" })], frameworkApp: { fetch: () => new Response() } });`,
    });
    const result = await world.run(["deploy", "apps", "app.ts", "unfit"], { cwd: dir });
    expect([result.code, result.stdout, result.stderr]).toEqual([2, "", expect.stringContaining('mount: "file"')]);
  });

  it("tells of a secret what is safe to tell", async () => {
    const [app] = (await world
      .json<{ usedBy: string[]; bytes: number }[] | { usedBy: string[]; bytes: number }>([
        "get",
        "secret",
        "FILE_PLAIN",
      ])
      .then((value) => [value].flat())) as { usedBy: string[]; bytes: number }[];
    expect(app).toMatchObject({ bytes: 12, usedBy: ["default/development/bytes"] });
    const used = await world.run(["delete", "secret", "FILE_PLAIN"]);
    expect([used.code, used.stderr]).toEqual([5, expect.stringContaining("used by default/development/bytes")]);
    await world.ok(["create", "admin-api-key", "--name", "STORED"]);
    expect(await world.ok(["delete", "api-key", "STORED"])).toContain(
      " The secret STORED (project default, domain development) stays.",
    );
  });

  it("never leaves a value in any file, log or output", async () => {
    const wanted = [
      values["PLAIN"],
      values["UNICODE"],
      values["LARGE"]?.slice(100, 164),
      pem.split("\n")[1],
    ] as string[];
    const texts = [
      await world.ok(["get", "secrets"]),
      await world.ok(["platform", "logs"]),
      await world.ok(["logs", "apps", "bytes"]),
      await world.ok(["attach", "bytes", "-o", "ndjson"]),
    ];
    const files = readdirSync(world.home, { recursive: true, withFileTypes: true, encoding: "utf8" })
      .filter((entry) => entry.isFile() && !["value", "nul"].includes(entry.name))
      .map((entry) => join(entry.parentPath, entry.name));
    expect(files.length).toBeGreaterThan(10);
    for (const value of wanted) {
      for (const form of [value, Buffer.from(value).toString("base64"), JSON.stringify(value).slice(1, -1)]) {
        for (const text of texts) expect(text.includes(form)).toBe(false);
        for (const file of files) expect(readFileSync(file).includes(form), file).toBe(false);
      }
    }
  });
});
