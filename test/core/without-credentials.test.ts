import { describe, expect, it } from "vitest";
import { engineSockets } from "../../src/container-engine/socket.ts";
import { credentialsHint, withoutCredentials } from "../../src/core/without-credentials.ts";

const PASSWORD = "pa5sw0rd";

describe("an address in a message", () => {
  it.each([
    [`http://ann:${PASSWORD}@host/x`, "http://…@host/x"],
    [`https://${PASSWORD}@host/x`, "https://…@host/x"],
    [`http://ann:${PASSWORD}/@${PASSWORD}@host:5000`, "http://…@host:5000"],
    [`http://ann:${PASSWORD}@host/x@sha256:${"a".repeat(64)}`, `http://…@host/x@sha256:${"a".repeat(64)}`],
    [`ann:${PASSWORD}@host`, "…@host"],
    [`ann:${PASSWORD}/@host/x`, "…@host/x"],
    [`git+https://ann:${PASSWORD}@host/x.git`, "git+https://…@host/x.git"],
    [`tcp://ann:${PASSWORD}@host:2375`, "tcp://…@host:2375"],
  ])("%s shows no password", (text, shown) => {
    expect(withoutCredentials(text)).toBe(shown);
    expect(credentialsHint(text)).toContain("docker login");
  });

  it.each([
    "node:24-slim",
    `node@sha256:${"a".repeat(64)}`,
    `localhost:5000/node:24@sha256:${"a".repeat(64)}`,
    "localhost:5000/x@v1",
    "http://[::1]:5000/x",
    "@scope/name@1.0.0",
    "hono@^4",
    "https://host/x",
  ])("%s is shown as it is", (text) => {
    expect(withoutCredentials(text)).toBe(text);
    expect(credentialsHint(text)).toBeUndefined();
  });

  it("has none of an engine's elsewhere", () => {
    expect(() => engineSockets({ DOCKER_HOST: `tcp://ann:${PASSWORD}@host:2375` })).toThrow("names tcp://…@host:2375,");
  });
});
