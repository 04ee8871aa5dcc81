import { readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readPlatformFile } from "../../src/core/platform-file.ts";
import { World } from "../e2e/harness.ts";
import { sampleOf } from "../support/amount.ts";
import { ACCEPTED_FROM, exchangePoints, linePoints } from "./cli-points.ts";
import { CommandProxy } from "./command-proxy.ts";
import { isRunning, KillWorld, until } from "./world.ts";

// The command is killed at each of its exchanges with the platform, and at each line. The platform goes on with what it has.
let kill: KillWorld;
let proxy: CommandProxy;
beforeAll(async () => {
  kill = await KillWorld.create();
  proxy = await CommandProxy.open(kill.world.port);
});
afterAll(async () => {
  proxy.close();
  await kill.close();
});

const names = Object.keys(exchangePoints);
const isAccepted = (name: string) => names.indexOf(name) >= names.indexOf(ACCEPTED_FROM);

describe("the command is killed when", () => {
  it.each(sampleOf(names, 2))("%s", async (name) => {
    const point = exchangePoints[name];
    const made = await kill.nextRevision();
    const before = kill.text;
    const text = kill.write();
    const key = readFileSync(join(kill.world.state, "admin.key"), "utf8").trim();
    let isKilled = false;
    proxy.watch((moment, exchange) => {
      if (isKilled) return "stop"; // of two exchanges at once, the other one
      if (moment !== point?.moment || !point.is(exchange)) return "go on";
      isKilled = true;
      command.process.kill("SIGKILL");
      return "stop";
    });
    const command = kill.deploy({ APPCTL_API_KEY: key, APPCTL_ENDPOINT: proxy.url });
    expect((await command.result).signal).toBe("SIGKILL");
    // Accepted is accepted: it goes on by itself. What was not has changed nothing.
    await kill.serves(isAccepted(name) ? text : before, before);
    if (!isAccepted(name)) expect(await kill.nextRevision()).toBe(made);
    expect(await kill.deployAgain(text)).toMatchObject({ revision: made });
  });

  it.each(sampleOf(linePoints, 1))("it has printed %s", async (line) => {
    const made = await kill.nextRevision();
    const before = kill.text;
    const text = kill.write();
    const command = kill.deploy();
    await command.until(line);
    command.process.kill("SIGKILL");
    await command.result;
    await kill.serves(line === "Skip building" ? before : text, before);
    expect(await kill.deployAgain(text)).toMatchObject({ revision: made });
  });

  it("the platform that it starts has just taken its lock: the platform starts all the same", async () => {
    const world = await World.create();
    world.folder("state/appctl");
    const command = world.start(["get", "apps"]);
    const locked = Promise.withResolvers<void>();
    const watcher = watch(world.state, (_, file) => file === "platform.lock" && locked.resolve());
    await locked.promise;
    watcher.close();
    command.process.kill("SIGKILL");
    expect((await command.result).signal).toBe("SIGKILL");
    await until(() => readPlatformFile(world.state) !== undefined);
    const pid = readPlatformFile(world.state)?.pid ?? 0;
    await world.ok(["get", "apps"]);
    expect(isRunning(pid)).toBe(true);
    expect(readPlatformFile(world.state)?.pid).toBe(pid);
    await world.close();
  });
});
