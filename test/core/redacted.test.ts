import { inspect } from "node:util";
import { expect, it } from "vitest";
import { Redacted } from "../../src/core/redacted.ts";

it("cannot print itself", () => {
  const secret = new Redacted("s3cret");
  const shown = [
    String(secret),
    `${secret}`,
    JSON.stringify({ secret }),
    inspect(secret),
    inspect({ deep: [secret] }, { showHidden: true }),
  ];
  for (const text of shown) {
    expect(text).not.toContain("s3cret");
    expect(text).toContain("[REDACTED]");
  }
  expect(Object.keys(secret)).toEqual([]);
  expect(secret.reveal()).toBe("s3cret");
});
