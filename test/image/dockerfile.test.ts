import { expect, it } from "vitest";
import { dockerfileOf } from "../../src/image/builder/dockerfile.ts";

it("installs the packages first, then runs the commands, each as it is written", () => {
  const commands = ['echo "$HOME" \\', "a\nb"];
  expect(dockerfileOf("node:24-slim", { aptPackages: ["curl", "jq=1.6-2.1"], commands })).toBe(
    [
      "FROM node:24-slim",
      'RUN ["/bin/sh","-c","apt-get update && apt-get install -y --no-install-recommends curl jq=1.6-2.1 && rm -rf /var/lib/apt/lists/*"]',
      'RUN ["/bin/sh","-c","echo \\"$HOME\\" \\\\"]',
      'RUN ["/bin/sh","-c","a\\nb"]',
      "CMD []",
      "",
    ].join("\n"),
  );
});
