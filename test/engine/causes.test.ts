import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ExitCode } from "../../src/core/errors.ts";
import { CAUSES, type CauseRow, causeOf, engineError, exitOfCause } from "../../src/engine/causes.ts";

const src = join(import.meta.dirname, "..", "..", "src");
const table = join("engine", "causes.ts");
const rows = Object.entries<CauseRow>(CAUSES);
/** Every file that makes causes, but the table itself. */
const makers = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((file) => /^(?:engine|platform\/apps)\/.*\.ts$/.test(file) && file !== table)
  .map((file) => ({ file, text: readFileSync(join(src, file), "utf8") }));

describe("the table of causes", () => {
  it("has a use for every row", () => {
    const text =
      makers.map((maker) => maker.text).join("\n") + readFileSync(join(src, table), "utf8").split("as const")[1];
    expect(rows.map(([name]) => name).filter((name) => !text.includes(`"${name}"`))).toEqual([]);
  });

  it("is where every cause comes from: nothing else writes the code of one", () => {
    const codes = [...new Set(rows.map(([, { code }]) => code))];
    expect(codes.length).toBeGreaterThan(20);
    const written = makers.flatMap(({ file, text }) =>
      // An error of a command has its exit code next to it.
      [...text.matchAll(/\{\s*code: "([A-Z_]+)",(?!\s*exit)/g)].map(([, code]) => `${file}: ${code}`),
    );
    expect(written).toEqual([]);
  });

  it("has a message, a hint and a sentence for the reference in every row", () => {
    for (const [name, { code, message, hint, docs, exit }] of rows) {
      expect(code, name).toMatch(/^[A-Z]+(?:_[A-Z]+)*$/);
      expect(
        [message, hint].map((text) => text !== "" && !text.endsWith(".")),
        name,
      ).toEqual([true, true]);
      expect(docs, name).toMatch(/^(?:[A-Z`].*\.)$/);
      expect(exit, name).toBe(exitOfCause(code));
    }
    expect(exitOfCause("FROM_A_LATER_PLATFORM")).toBe(ExitCode.failed);
  });
});

it("fills the texts of a row with values, and leaves code in braces alone", () => {
  expect(causeOf("memoryLimit", { limit: "1Gi" })).toEqual({
    code: "OUT_OF_MEMORY",
    message: "out of memory: it used more than its limit of 1Gi",
    hint: "raise limits.mem (now 1Gi), or use less memory",
  });
  expect(causeOf("secretNotText", { key: "TLS" })).toMatchObject({
    message: "the secret TLS holds bytes that no environment variable can carry",
    hint: 'give the app its bytes as a file: new Secret({ key, mount: "file" })',
  });
  // A value is text, and no template.
  expect(causeOf("threwAtStart", { error: "Error: {error} $& $1" }).message).toBe("Error: {error} $& $1");
});

it("names a full disk, and what to do", () => {
  expect(engineError(new Error("else"))).toEqual({
    code: "ENGINE_ERROR",
    message: "the platform could not run it: else",
    hint: "see appctl platform logs",
  });
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  expect(engineError(full)).toEqual({
    code: "ENGINE_ERROR",
    message:
      "the platform could not run it: there is no space left on its disk: ENOSPC: no space left on device, write",
    hint: "free some space there, then deploy again",
  });
});
