import { describe, expect, it } from "vitest";
import { draw } from "../../src/commands/shared/draw.ts";
import { AppctlError, ExitCode } from "../../src/core/errors.ts";
import type { DeployEvent } from "../../src/core/events.ts";
import { pause } from "../../src/http/retry.ts";
import { deployRenderer } from "../../src/ui/choose-renderer.ts";
import { fakeIo } from "../ui/fake-io.ts";

const scope = { project: "shop", domain: "development" };
const deploying: DeployEvent = {
  type: "deploying",
  app: "web",
  ...scope,
  consoleUrl: "http://localhost:7654/console",
  deployment: 7,
};
const HOUR = 3_600_000;

/** Yields `events`, then stands still until the signal aborts. */
async function* standing(events: DeployEvent[], signal: AbortSignal, then?: () => void): AsyncGenerator<DeployEvent> {
  yield* events;
  then?.();
  await pause(HOUR, signal);
}

async function outcome(events: DeployEvent[], stop: AbortController, waitMs: number, then?: () => void) {
  const renderer = await deployRenderer(fakeIo().io, "text", "auto");
  return draw((signal) => standing(events, signal, then), { renderer, signal: stop.signal, waitMs, scope }).catch(
    (error: unknown) => error,
  );
}

const reason = (code: string, exit: ExitCode) => new AppctlError({ code, exit, message: code });

describe("waiting", () => {
  it("ends at the wait's end with exit 8 and the command that joins again", async () => {
    expect(await outcome([deploying], new AbortController(), 20)).toMatchObject({
      code: "WAIT_TIMEOUT",
      exit: 8,
      deploy: { app: "web", ...scope, deployment: 7, consoleUrl: "http://localhost:7654/console" },
      next: ["appctl attach web --deployment 7 --project shop"],
    });
  });

  it("does not count what comes before the platform has accepted the deploy", async () => {
    const stop = new AbortController();
    const building: DeployEvent = { type: "build", step: "install", message: "installing" };
    const result = await outcome([building], stop, 1, () => setTimeout(() => stop.abort(reason("X", 130)), 50));
    expect(result).toMatchObject({
      code: "INTERRUPTED",
      exit: 130,
      message: "Interrupted. Nothing was deployed.",
      next: [],
    });
  });

  it.each([
    ["INTERRUPTED", ExitCode.interrupted, "Interrupted. The deploy of web continues."],
    ["TERMINATED", ExitCode.terminated, "Terminated. The deploy of web continues."],
  ] as const)("%s says that the deploy goes on", async (code, exit, message) => {
    const stop = new AbortController();
    const result = await outcome([deploying], stop, HOUR, () => stop.abort(reason(code, exit)));
    expect(result).toMatchObject({ code, exit, message, next: ["appctl attach web --deployment 7 --project shop"] });
  });

  it("passes on what the deploy failed with", async () => {
    const renderer = await deployRenderer(fakeIo().io, "text", "auto");
    const failure = new AppctlError({ code: "APP_THREW", exit: 1, message: "web failed" });
    const events = async function* (): AsyncGenerator<DeployEvent> {
      yield deploying;
      throw failure;
    };
    const options = { renderer, signal: new AbortController().signal, waitMs: HOUR, scope };
    await expect(draw(events, options)).rejects.toBe(failure);
    expect(failure.deploy).toEqual({
      app: "web",
      ...scope,
      deployment: 7,
      consoleUrl: "http://localhost:7654/console",
    });
  });

  it("tells whether the verdict came", async () => {
    const renderer = await deployRenderer(fakeIo().io, "text", "auto");
    const options = { renderer, signal: new AbortController().signal, waitMs: HOUR, scope };
    const accepted = { app: "web", deployment: 7, consoleUrl: "http://localhost:7654/console" };
    const only = async function* (): AsyncGenerator<DeployEvent> {
      yield deploying;
    };
    expect(await draw(only, options)).toEqual({ accepted, succeeded: false });
  });
});
