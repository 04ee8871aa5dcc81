import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { exitOf } from "../../src/client/platform-http.ts";
import { ExitCode } from "../../src/core/errors.ts";
import { PROBLEMS, ProblemError } from "../../src/platform/problem.ts";

const platform = join(import.meta.dirname, "..", "..", "src", "platform");

it("uses every code of the API's table", () => {
  const text = readdirSync(platform, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && file !== "problem.ts")
    .map((file) => readFileSync(join(platform, file), "utf8"))
    .concat(/export function notFound[\s\S]*/.exec(readFileSync(join(platform, "problem.ts"), "utf8")) ?? [])
    .join("\n");
  expect(Object.keys(PROBLEMS).filter((code) => !text.includes(`"${code}"`))).toEqual([]);
});

it("gives every code a status with a title, and an exit code that blames appctl for its own failures alone", async () => {
  for (const [code, status] of Object.entries(PROBLEMS)) {
    const response = new ProblemError(code as keyof typeof PROBLEMS, "it is so").toResponse();
    const problem = (await response.json()) as { title: string };
    expect([response.status, problem], code).toMatchObject([status, { code, status, detail: "it is so" }]);
    expect(problem.title, code).not.toBe("Error");
    expect(exitOf(status) === ExitCode.bug, code).toBe(code === "INTERNAL");
  }
});

it("takes the code of an error that is not the API's own", () => {
  const { problem } = new ProblemError({ code: "DISK_FULL", status: 503 }, "no space", { hint: "free some" });
  expect(problem).toMatchObject({ code: "DISK_FULL", status: 503, hint: "free some" });
  expect(problem.type).toBe("urn:appctl:problem:disk-full");
});
