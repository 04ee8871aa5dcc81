import { spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

// The prompts on a real pseudo-terminal, made by `script` (Debian's bsdutils, macOS has another one of that name).
const hasScript = /util-linux/.test(spawnSync("script", ["--version"], { encoding: "utf8" }).stdout ?? "");
if (!hasScript) console.warn("skipped: the prompts on a terminal need util-linux's script");

let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "appctl-prompt-"));
  const io = `{ stdin: process.stdin, stderr: process.stderr, signal: stop.signal }`;
  const prompt = JSON.stringify(join(import.meta.dirname, "..", "..", "src", "ui", "prompt.ts"));
  writeFileSync(
    join(dir, "entry.ts"),
    `import { createHash } from "node:crypto";
     import { writeFileSync } from "node:fs";
     import { askHidden, confirm } from ${prompt};
     const stop = new AbortController();
     process.once("SIGTERM", () => stop.abort(Object.assign(new Error("stopped"), { exit: 143 })));
     const [kind, out, count = "1"] = process.argv.slice(2);
     const results = [];
     try {
       for (let i = 0; i < Number(count); i++) {
         if (kind === "confirm") results.push(await confirm(${io}, "Sure?"));
         else {
           const bytes = (await askHidden(${io}, "Value: ", 1 << 20)).reveal();
           results.push({ bytes: bytes.length, sha: createHash("sha256").update(bytes).digest("hex") });
         }
       }
     } catch (error) {
       results.push(error.code ?? error.message);
       process.exitCode = error.exit ?? 70;
     }
     writeFileSync(out, JSON.stringify(results));`,
  );
  await build({
    entryPoints: [join(dir, "entry.ts")],
    outfile: join(dir, "entry.mjs"),
    bundle: true,
    format: "esm",
    platform: "node",
    logLevel: "error",
  });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let runs = 0;

/** Runs the prompt on a terminal; `steps` are typed one after another, each when the screen shows its text. */
async function onTerminal(args: string[], steps: { when: string; type: string | ((pid: number) => void) }[]) {
  const out = join(dir, `result-${runs++}`);
  // The terminal's settings before and after have to be the same, so they are printed around the prompt.
  const command = `stty -g; echo "pid:$$"; ${process.execPath} ${join(dir, "entry.mjs")} ${args[0]} ${out} ${args[1] ?? 1}; code=$?; stty -g; exit $code`;
  const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
  const left = [...steps];
  let screen = "";
  let from = 0;
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    screen += chunk;
    const step = left[0];
    const at = step ? screen.indexOf(step.when, from) : -1;
    if (!step || at < 0) return;
    from = at + step.when.length;
    left.shift();
    if (typeof step.type === "string") child.stdin.write(step.type);
    else step.type(Number(/pid:(\d+)/.exec(screen)?.[1]));
  });
  const [code] = (await once(child, "close")) as [number];
  const settings = screen.match(/^[0-9a-f]+:[0-9a-f:]+\r?$/gm) ?? [];
  const results: unknown[] = JSON.parse(readFileSync(out, "utf8"));
  return { code, screen, settings, results };
}

const sha = (text: string | Uint8Array) => createHash("sha256").update(text).digest("hex");
const read = (text: string) => ({ bytes: Buffer.byteLength(text), sha: sha(text) });
const PASTE_ON = "\x1b[?2004h";
const PASTE_OFF = "\x1b[?2004l";

describe.skipIf(!hasScript)("a hidden prompt", () => {
  it("reads what is typed, shows none of it, and puts the terminal back", async () => {
    const { code, screen, settings, results } = await onTerminal(["hidden"], [{ when: "Value: ", type: "hunter2é\r" }]);
    expect([code, results]).toEqual([0, [read("hunter2é")]]);
    expect(screen).not.toContain("hunter2");
    expect(screen).toContain(`${PASTE_ON}Value: ${PASTE_OFF}9 bytes read`);
    expect(settings).toHaveLength(2);
    expect(settings[1]).toBe(settings[0]);
  });

  it("reads a paste of several lines, and says that it ends with a line end", async () => {
    const pem = `-----BEGIN PRIVATE KEY-----\n${"A".repeat(64)}\n-----END PRIVATE KEY-----\n`;
    const sent = pem.replaceAll("\n", "\r"); // as terminals send it
    const { results, screen } = await onTerminal(
      ["hidden"],
      [{ when: "Value: ", type: `\x1b[200~${sent}\x1b[201~\r` }],
    );
    expect(results).toEqual([read(pem)]);
    expect(screen).toContain(`${Buffer.byteLength(pem)} bytes read, the last a line end`);
    expect(screen).not.toContain("AAAA");
  });

  it("reads 64 KiB, pasted and typed: the 4096 bytes of a terminal's own line are no limit", async () => {
    const value = randomBytes(32 * 1024).toString("hex");
    const pasted = await onTerminal(["hidden"], [{ when: "Value: ", type: `\x1b[200~${value}\x1b[201~\r` }]);
    expect(pasted.results).toEqual([read(value)]);
    const typed = await onTerminal(["hidden"], [{ when: "Value: ", type: `${value}\r` }]);
    expect(typed.results).toEqual([read(value)]);
  });

  it("loses nothing between two prompts that were answered at once", async () => {
    const { results } = await onTerminal(["hidden", "2"], [{ when: "Value: ", type: "one\rtwo\r" }]);
    expect(results).toEqual([read("one"), read("two")]);
  });

  it("ends with 130 at Ctrl-C and with 2 at Ctrl-D, the terminal as it was", async () => {
    const interrupted = await onTerminal(["hidden"], [{ when: "Value: ", type: "abc\x03" }]);
    expect([interrupted.code, interrupted.results]).toEqual([130, ["INTERRUPTED"]]);
    expect(interrupted.settings[1]).toBe(interrupted.settings[0]);
    expect(interrupted.screen).toContain(PASTE_OFF);
    const cancelled = await onTerminal(["hidden"], [{ when: "Value: ", type: "\x04" }]);
    expect([cancelled.code, cancelled.results]).toEqual([2, ["CANCELLED"]]);
  });

  it("puts the terminal back when it is told to stop", async () => {
    const { code, settings, screen } = await onTerminal(
      ["hidden"],
      [{ when: "Value: ", type: (shell) => spawnSync("pkill", ["-TERM", "-P", String(shell)]) }],
    );
    expect(code).toBe(143);
    expect(settings[1]).toBe(settings[0]);
    expect(screen).toContain(PASTE_OFF);
  });
});

describe.skipIf(!hasScript)("a question", () => {
  it.each([
    ["y", true],
    ["YES", true],
    ["n", false],
    ["", false],
    ["yo", false],
  ])("%j is %s", async (answer, expected) => {
    const { results, screen } = await onTerminal(["confirm"], [{ when: "Sure? [y/N] ", type: `${answer}\r` }]);
    expect(results).toEqual([expected]);
    expect(screen).toContain(`Sure? [y/N] ${answer}`);
  });
});
