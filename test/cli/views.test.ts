import { describe, expect, it } from "vitest";
import { appLines } from "../../src/commands/handlers/get-apps-handler.ts";
import { imageColumns } from "../../src/commands/handlers/images-handler.ts";
import { sinceTime } from "../../src/commands/handlers/logs-apps-handler.ts";
import { commandLine, milliseconds } from "../../src/commands/shared/flags.ts";
import { isLoopback } from "../../src/commands/shared/session.ts";
import { runArguments } from "../../src/commands/shared/start-flags.ts";
import { tableLines } from "../../src/ui/table.ts";
import { NOW } from "../ui/fake-io.ts";
import { sampleApp } from "./samples.ts";

it("shows an app", () => {
  expect(appLines({ ...sampleApp, message: "" }, NOW)).toEqual([
    "Name:     web",
    "Status:   Running",
    "Endpoint: http://rough-meadow-97cf5.apps.localhost:7654",
    "Access:   gateway requires a key",
    "Console:  http://localhost:7654/console/projects/default/domains/development/apps/web",
    "Revision: web-00002",
    "Image:    localhost:7654/web-image:KXwIrIyoU_Decb0wgPy23A-0123456789ab",
    `Digest:   sha256:${"0".repeat(64)}`,
    "Created:  2h ago",
    "Updated:  5m ago",
    "",
    "REPLICA          STATE  REVISION   RESTARTS  AGE  LAST EXIT",
    "web-00002-abcde  Ready  web-00002  0         30s  -",
  ]);
  expect(appLines({ ...sampleApp, requiresAuth: false }, NOW)).toContain(
    "Access:   public: the gateway asks for no key",
  );
  expect(appLines({ ...sampleApp, status: "Failed", message: "it \x1b[31mthrew", replicas: [] }, NOW)[1]).toBe(
    "Status:   Failed: it threw",
  );
});

it("shows images", () => {
  const use = (revision: string, active: boolean) => ({ ...scope, app: "web", revision, active });
  const image = { repository: "web-image", digest: `sha256:${"0123456789ab".repeat(6).slice(0, 64)}` };
  const createdAt = "2026-03-01T11:00:00.000Z";
  const images = [
    { ...image, tag: "one", size: 2048, createdAt, revisions: [use("web-00003", false), use("web-00002", true)] },
    { ...image, tag: "two", size: 5, createdAt, revisions: [use("web-00001", false)] },
    { ...image, tag: "unused", size: null, createdAt: null, revisions: [] },
  ];
  expect(tableLines(imageColumns(NOW), images)).toEqual([
    "REPOSITORY  TAG     DIGEST        SIZE     AGE  USED BY",
    "web-image   one     0123456789ab  2.0 KiB  1h   web-00002 and 1 more",
    "web-image   two     0123456789ab  5 bytes  1h   web-00001",
    "web-image   unused  0123456789ab  damaged  -    -",
  ]);
});

const scope = { project: "default", domain: "development" };

describe("flags", () => {
  it("read durations: a bare number is seconds", () => {
    expect(["600s", "10m", "1h", "500ms", "90", "1.5s"].map((text) => milliseconds("--x", text))).toEqual([
      600_000, 600_000, 3_600_000, 500, 90_000, 1500,
    ]);
    for (const text of ["", "0", "-1", "10 years", "abc", "Infinity"])
      expect(() => milliseconds("--x", text)).toThrow("--x");
  });

  it("read --since as a duration or a time", () => {
    expect(sinceTime("10m", NOW)).toBe("2026-03-01T11:50:00.000Z");
    expect(sinceTime("2026-01-31T08:00:00+01:00", NOW)).toBe("2026-01-31T07:00:00.000Z");
    expect(() => sinceTime("2026-13-99T99:00", NOW)).toThrow("--since");
  });

  it("make command lines that can be pasted", () => {
    expect(commandLine(["attach", "web"], { project: "default", domain: "development" })).toBe("appctl attach web");
    expect(commandLine(["create", "secret", "it's"], { project: "p", domain: "d" })).toBe(
      "appctl create secret 'it'\\''s' --project p --domain d",
    );
    expect(runArguments(7000, { host: "0.0.0.0", baseDomain: "apps.example.com", url: "https://example.com" })).toEqual(
      [...["--port", "7000", "--host", "0.0.0.0", "--base-domain", "apps.example.com", "--url", "https://example.com"]],
    );
  });
});

it.each([
  ["http://localhost:7654", true],
  ["http://web.apps.localhost:7654", true],
  ["http://127.0.0.1:7654", true],
  ["http://127.1.2.3", true],
  ["http://[::1]:7654", true],
  ["https://localhost.example.com", false],
  ["https://notlocalhost", false],
  ["http://128.0.0.1", false],
])("%s is this machine: %s", (endpoint, expected) => expect(isLoopback(endpoint)).toBe(expected));
