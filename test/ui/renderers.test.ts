import { describe, expect, it } from "vitest";
import type { DeployEvent } from "../../src/core/events.ts";
import { deployRenderer } from "../../src/ui/choose-renderer.ts";
import type { OutputMode } from "../../src/ui/io.ts";
import { fakeIo } from "./fake-io.ts";

const consoleUrl = "http://localhost:7654/console/projects/default/domains/development/apps/fastapi-with-auth";
const image = "localhost:7654/fastapi-with-auth-image:KXwIrIyoU_Decb0wgPy23A";
const status = (phase: "Pending" | "Started" | "Failed", reason: string, message: string): DeployEvent => ({
  type: "status",
  phase,
  reason,
  message,
});
const missing = status(
  "Pending",
  "RevisionMissing",
  'Configuration "fastapi-with-auth" is waiting for a Revision to become ready.',
);
const deploying: DeployEvent = {
  type: "deploying",
  app: "fastapi-with-auth",
  project: "default",
  domain: "development",
  consoleUrl,
  deployment: 1,
};
const succeeded = {
  type: "succeeded",
  app: "fastapi-with-auth",
  endpoint: "http://rough-meadow-97cf5.apps.localhost:7654",
  revision: "fastapi-with-auth-00001",
  image: `${image}-0123456789ab`,
  digest: `sha256:${"0".repeat(64)}`,
  consoleUrl,
  unchanged: false,
} as const satisfies DeployEvent;
const events: DeployEvent[] = [
  { type: "image", state: "found", reference: image },
  deploying,
  status("Pending", "", "App is pending deployment"),
  missing,
  missing,
  status("Pending", "IngressNotConfigured", "Ingress has not yet been reconciled."),
  status("Pending", "Uninitialized", "Waiting for load balancer to be ready"),
  status("Started", "", "Service is ready"),
  succeeded,
];

async function drawn(output: OutputMode, all: DeployEvent[], options: Parameters<typeof fakeIo>[0] = {}) {
  const fake = fakeIo(options);
  const renderer = await deployRenderer(fake.io, output, "auto");
  for (const event of all) renderer.event(event);
  renderer.end();
  return fake;
}

describe("text", () => {
  it("prints exactly the lines of a deploy, each status once, and nothing else on stdout", async () => {
    const { stdout } = await drawn("text", events);
    expect(stdout()).toBe(
      [
        `Image ${image} found. Skip building.`,
        "✨ Deploying Application: fastapi-with-auth",
        `🔎 Console URL: ${consoleUrl}`,
        "[Status] Pending: App is pending deployment",
        '[Status] Pending: RevisionMissing: Configuration "fastapi-with-auth" is waiting for a Revision to become ready.',
        "[Status] Pending: IngressNotConfigured: Ingress has not yet been reconciled.",
        "[Status] Pending: Uninitialized: Waiting for load balancer to be ready",
        "[Status] Started: Service is ready",
        "🚀 Deployed Endpoint: http://rough-meadow-97cf5.apps.localhost:7654",
        "",
      ].join("\n"),
    );
  });

  it("prints a status again that came back after another, and for the next app", async () => {
    const other = status("Pending", "Other", "Something else.");
    const { stdout } = await drawn("text", [deploying, missing, other, missing, deploying, missing]);
    expect(stdout().match(/RevisionMissing/g)).toHaveLength(3);
  });

  it("tells a build on stderr, in few lines where nothing can be replaced", async () => {
    const step = (done: number): DeployEvent => ({
      type: "build",
      step: "install",
      message: "installing 3 packages",
      done,
      total: 3,
    });
    const { stdout, stderr } = await drawn("text", [
      { type: "image", state: "missing", reference: image },
      ...[0, 1, 2, 3].map(step),
      { type: "warning", message: "the lock file says\x1b[2J otherwise" },
      { type: "image", state: "built", reference: image },
    ]);
    expect(stdout()).toBe(`Image ${image} not found. Building…\n`);
    expect(stderr()).toBe(`installing 3 packages\nWarning: the lock file says otherwise\nImage ${image} built.\n`);
  });

  it("does not say that an image was looked for when it was to be built in any case", async () => {
    const { stdout } = await drawn("text", [{ type: "image", state: "forced", reference: image }]);
    expect(stdout()).toBe(`Image ${image} exists (force). Building…\n`);
  });

  it("says of an image that is found on this machine alone that it is here", async () => {
    const { stdout } = await drawn("text", [{ type: "image", state: "found", reference: image, here: true }]);
    expect(stdout()).toBe(`Image ${image} found on this machine. Skip building.\n`);
  });

  it("counts bytes in megabytes, where the line can be replaced", async () => {
    const step = {
      type: "build",
      step: "upload",
      message: "pushing",
      done: 1_250_000,
      total: 4e7,
      unit: "bytes",
    } as const;
    expect((await drawn("text", [step], { columns: 80 })).stderr()).toContain("pushing 1.3/40.0 MB");
    const small = { ...step, done: 1200, total: 42_530 };
    expect((await drawn("text", [small], { columns: 80 })).stderr()).toContain("pushing 1/43 kB");
    expect((await drawn("text", [step])).stderr()).toBe("pushing\n");
  });

  it("draws no colour and moves no cursor when it is no terminal, and not in CI either", async () => {
    const plain = await drawn("text", events);
    const ci = await drawn("text", events, { columns: 80, env: { CI: "true" } });
    for (const fake of [plain, ci]) expect(fake.all()).not.toContain("\x1b");
  });

  it("draws colour on a terminal; without the codes the lines are the same", async () => {
    const terminal = await drawn("text", events, { columns: 80 });
    const plain = await drawn("text", events);
    expect(terminal.stdout()).toContain("\x1b[32mStarted\x1b[39m");
    expect(terminal.stdout().replace(/\x1b\[[\d;]*m/g, "")).toBe(plain.stdout());
    const none = await drawn("text", events, { columns: 80, env: { NO_COLOR: "1" } });
    expect(none.stdout()).toBe(plain.stdout());
  });

  it("takes control characters out of what a server said", async () => {
    const { stdout } = await drawn("text", [
      deploying,
      status("Failed", "RevisionFailed", "it said \x1b]0;title\x07\x1b[31mred\x1b[0m\r\nand more\u202e"),
    ]);
    expect(stdout()).toContain("[Status] Failed: RevisionFailed: it said redand more\n");
  });

  it("says at once what it does, before anything heavy is loaded", async () => {
    const { io, stderr } = fakeIo({ columns: 80 });
    const renderer = await deployRenderer(io, "text", "auto");
    renderer.progress.say("Loading app.ts");
    expect(stderr()).toContain("Loading app.ts");
    renderer.progress.stop();
  });
});

describe("json", () => {
  it("is exactly one object on stdout", async () => {
    const { stdout } = await drawn("json", events);
    const { type: _, ...rest } = succeeded;
    expect(JSON.parse(stdout())).toEqual({ status: "started", ...rest });
  });

  it("names the apps that were deployed before it", async () => {
    const first = { ...succeeded, app: "db" };
    const { stdout } = await drawn("json", [deploying, first, deploying, succeeded]);
    expect(JSON.parse(stdout())).toMatchObject({ app: "fastapi-with-auth", dependencies: [{ app: "db" }] });
  });

  it("is one object for a deploy that nobody waits for", async () => {
    const { io, stdout } = fakeIo();
    const renderer = await deployRenderer(io, "json", "auto");
    renderer.event(deploying);
    const accepted = { app: "a", project: "p", domain: "d", deployment: 1, endpoint: "http://e", consoleUrl };
    renderer.accepted(accepted);
    renderer.end();
    expect(JSON.parse(stdout())).toEqual({ status: "accepted", ...accepted });
  });
});

describe("ndjson", () => {
  it("is one event a line, numbered, with the terminal one last", async () => {
    const { stdout } = await drawn("ndjson", events);
    const lines = stdout()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    expect(lines.map(({ type }) => type)).toEqual(events.map(({ type }) => type));
    for (const line of lines) expect(line).toMatchObject({ v: 1, time: "2026-03-01T12:00:00.000Z" });
    expect(lines.at(-1)).toMatchObject({ endpoint: succeeded.endpoint, revision: succeeded.revision });
  });

  it("has one terminal event, whatever was deployed before", async () => {
    const { stdout } = await drawn("ndjson", [deploying, { ...succeeded, app: "db" }, deploying, succeeded]);
    const types = stdout()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).type);
    expect(types).toEqual(["deploying", "dependency", "deploying", "succeeded"]);
  });
});

describe("url", () => {
  it("is only the endpoint, without a slash at its end", async () => {
    const { stdout } = await drawn("url", [
      ...events.slice(0, -1),
      { ...succeeded, endpoint: `${succeeded.endpoint}/` },
    ]);
    expect(stdout()).toBe(`${succeeded.endpoint}\n`);
  });
});
