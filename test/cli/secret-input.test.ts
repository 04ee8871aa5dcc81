import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { secretValue, type ValueFlags } from "../../src/commands/shared/secret-input.ts";
import { type FakeOptions, fakeIo } from "../ui/fake-io.ts";

const dir = mkdtempSync(join(tmpdir(), "appctl-input-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function read(flags: ValueFlags, options: FakeOptions = {}) {
  const fake = fakeIo({ cwd: dir, ...options });
  const value = await secretValue(fake.io, "KEY", flags);
  return { bytes: Buffer.from(value.reveal()), value, ...fake };
}

describe("a secret's value", () => {
  it("is every byte of a file or of stdin, line ends too", async () => {
    const text = "one\r\ntwo\n\n pässwörd 🔑 \t\n";
    writeFileSync(join(dir, "value"), text);
    expect((await read({ valueFile: "value" })).bytes.toString()).toBe(text);
    expect((await read({ valueFile: "-" }, { stdin: text })).bytes.toString()).toBe(text);
    // A terminal with `--value-file -` is read to its end, not asked.
    expect((await read({ valueFile: "-" }, { stdin: text, columns: 80 })).bytes.toString()).toBe(text);
  });

  it("can come from a pipe of the shell, which has no size", async () => {
    execFileSync("mkfifo", [join(dir, "pipe")]);
    const { spawn } = await import("node:child_process");
    spawn("sh", ["-c", `printf piped > ${join(dir, "pipe")}`]);
    expect((await read({ valueFile: "pipe" })).bytes.toString()).toBe("piped");
  });

  it("is taken from --value with a warning that never repeats it", async () => {
    const { bytes, stderr } = await read({ value: "hunter2" });
    expect(bytes.toString()).toBe("hunter2");
    expect(stderr()).toContain("Warning: --value is visible in the process list");
    expect(stderr()).not.toContain("hunter2");
  });

  it("cannot print itself", async () => {
    const { value } = await read({ valueFile: "-" }, { stdin: "hunter2" });
    expect(`${value} ${JSON.stringify({ value })} ${inspect(value)}`).not.toContain("hunter2");
  });

  it.each([
    ["empty", "", "EMPTY_SECRET"],
    ["with a NUL", "a\0b", "BINARY_SECRET"],
    ["not UTF-8", new Uint8Array([0x61, 0xff, 0x62]), "BINARY_SECRET"],
    ["longer than 1 MiB", "x".repeat((1 << 20) + 1), "SECRET_TOO_LARGE"],
  ])("%s is refused, from a file and from stdin", async (_, value, code) => {
    writeFileSync(join(dir, "bad"), value);
    await expect(read({ valueFile: "bad" })).rejects.toMatchObject({ code, exit: 2 });
    await expect(read({ valueFile: "-" }, { stdin: value })).rejects.toMatchObject({ code, exit: 2 });
  });

  it("of exactly 1 MiB is taken; binary bytes are with --binary", async () => {
    writeFileSync(join(dir, "large"), "x".repeat(1 << 20));
    expect((await read({ valueFile: "large" })).bytes.length).toBe(1 << 20);
    const binary = new Uint8Array([0, 255, 10, 13]);
    expect((await read({ valueFile: "-", binary: true }, { stdin: binary })).bytes).toEqual(Buffer.from(binary));
    await expect(read({ valueFile: "-", binary: true }, { stdin: "" })).rejects.toMatchObject({ code: "EMPTY_SECRET" });
  });

  it("that no variable can hold: says how to mount it as a file, and not what it is", async () => {
    const error = await read({ valueFile: "-" }, { stdin: "hunter\0two" }).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ hint: expect.stringContaining('new Secret({ key: "KEY", mount: "file" })') });
    expect(inspect(error)).not.toContain("hunter");
  });

  it("has one source", async () => {
    await expect(read({ value: "x", valueFile: "-" })).rejects.toMatchObject({ exit: 2 });
    await expect(read({ valueFile: "gone" })).rejects.toMatchObject({ code: "VALUE_NOT_READABLE", exit: 2 });
    await expect(read({ valueFile: "." })).rejects.toMatchObject({ code: "VALUE_NOT_READABLE", exit: 2 });
    await expect(read({ valueFile: "" })).rejects.toMatchObject({ exit: 2 });
  });

  it.each([
    ["no terminal", {}],
    ["a terminal in CI", { columns: 80, env: { CI: "true" } }],
  ])("without a flag and with %s: exit 2 with the flags to use", async (_, options) => {
    await expect(read({}, options)).rejects.toMatchObject({
      exit: 2,
      hint: expect.stringMatching(/--value-file FILE.*--value-file -/),
    });
  });
});
