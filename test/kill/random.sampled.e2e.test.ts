import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Client } from "../../src/client/client.ts";
import { ensureLocalPlatform } from "../../src/client/local-platform.ts";
import type { DeploymentEvent, ImageReference } from "../../src/contract/types.ts";
import { readPlatformFile } from "../../src/core/platform-file.ts";
import { isLong, stress } from "../support/amount.ts";
import { programSpec, refOf } from "../support/in-process.ts";
import { expectInvariants, replicaProcesses } from "./invariants.ts";
import { answer, KillWorld, until } from "./world.ts";

// Deploy after deploy, and in each of them something is killed at a random moment. KILL_SEED repeats the choices of a run; the
// moments themselves are the machine's.
const seed = Number(process.env["KILL_SEED"] ?? Date.now() % 1_000_000);
const rounds = isLong ? 70 * stress : 3;
/** Every so many rounds the whole command is run, and not the deployment API alone. */
const COMMAND_EACH = 8;

let kill: KillWorld;
let loop = "";
let image: ImageReference;
beforeAll(async () => {
  kill = await KillWorld.create();
  loop = (await kill.world.ok(deploying("first"), { env: { TEXT: "first" } })).trim();
  const client = waiting();
  const app = await client.getApp(refOf("loop"));
  image = { reference: app.image ?? "", digest: app.digest ?? "" };
  await client.close();
});
afterAll(() => kill.close());

/** The command that deploys the app `loop`, which answers with `text`. */
function deploying(text: string): string[] {
  kill.world.folder("loop", {
    "server.mjs": `import { createServer } from "node:http";
      createServer((_, res) => res.end(process.env.TEXT)).listen(process.env.PORT, "127.0.0.1");`,
    "app.ts": `import { App } from "appctl";
      export default new App({ name: "loop", requiresAuth: false, include: ["server.mjs"], args: ["node", "server.mjs"],
        env: { TEXT: "${text}" } });`,
  });
  return ["deploy", "apps", "loop/app.ts", "loop", "-o", "url"];
}

/** A client as a command has it: it starts the platform again when that is away. */
function waiting(): Client {
  const { port, env } = kill.world;
  const find = async () => {
    const { endpoint, apiKey } = await ensureLocalPlatform(env, port);
    return { endpoint, apiKey };
  };
  return new Client({ endpoint: `http://127.0.0.1:${port}`, apiKey: kill.key(), onUnreachable: find });
}

/** mulberry32: small, and the same everywhere. */
function generator(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A replica that an update replaces may end before it can be killed. */
function killIfAlive(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Deploys over the API, and waits for the verdict. */
async function deployed(client: Client, text: string): Promise<DeploymentEvent> {
  const spec = programSpec("loop", { env: { TEXT: text } });
  const { id } = await client.applyApp(refOf("loop"), spec, image, `key-${text}`);
  let last: DeploymentEvent | undefined;
  for await (const event of client.follow(refOf("loop"), id, 0)) last = event;
  if (!last) throw new Error(`no event of deployment ${id}`);
  return last;
}

it(`holds at ${rounds} random moments (KILL_SEED=${seed})`, { timeout: rounds * 20_000 }, async () => {
  const random = generator(seed);
  const pick = <T>(choices: T[]): T => choices[Math.floor(random() * choices.length)] as T;
  const client = waiting();
  const { world } = kill;
  const started = performance.now();
  for (const text of ["a", "b", "c"]) expect((await deployed(client, text)).type).toBe("succeeded");
  const lengthMs = (performance.now() - started) / 3;

  let current = "c";
  const told: string[] = [];
  for (let round = 1; round <= rounds; round++) {
    const text = `round-${round}`;
    const whole = round % COMMAND_EACH === 0;
    const target = pick(whole ? ["command", "platform", "replica"] : ["platform", "platform", "replica"]);
    const after = random() * lengthMs * (whole ? 4 : 1);
    const what = `round ${round} (seed ${seed}): ${target} after ${Math.round(after)} ms`;
    const command = whole ? world.start(deploying(text)) : undefined;
    const verdict = command ? command.result : deployed(client, text);
    await delay(after);
    if (target === "platform") await kill.killPlatform();
    else if (target === "command") command?.process.kill("SIGKILL");
    else {
      const app = await client.getApp(refOf("loop"));
      const pids = [...replicaProcesses(world.port).keys()].filter((pid) =>
        app.replicas.some((one) => one.pid === pid),
      );
      if (pids.length > 0) killIfAlive(pick(pids));
    }

    const ended = await verdict;
    if ("type" in ended) {
      // Only a new replica that was killed lets a deploy fail.
      if (target !== "replica") expect(ended.type, `${what}: ${JSON.stringify(ended)}`).toBe("succeeded");
      expect(["succeeded", "failed"], what).toContain(ended.type);
    } else if (target === "platform") expect(ended.code, `${what}: ${ended.stdout}${ended.stderr}`).toBe(0);
    const isLive = "type" in ended ? ended.type === "succeeded" : ended.code === 0;
    if (isLive) current = text;
    // A command that was killed may have been heard, and may not.
    const mayServe = ended && "signal" in ended && ended.signal ? [current, text] : [current];
    await ensureLocalPlatform(world.env, world.port);
    await until(async () => {
      const found = await answer(loop);
      if (found !== undefined) expect([...mayServe, ...(isLive ? [] : [current])], what).toContain(found);
      return found !== undefined;
    });

    const again = await deployed(client, text);
    told.push(`${target}: ${"type" in ended ? ended.type : (ended.signal ?? ended.code)}`);
    if (again.type !== "succeeded") {
      // The key was that of the deploy that failed: the same command again has another one.
      const spec = programSpec("loop", { env: { TEXT: text } });
      const { id } = await client.applyApp(refOf("loop"), spec, image, `again-${text}`);
      for await (const event of client.follow(refOf("loop"), id, 0)) {
        if (event.type !== "status") expect(event.type, what).toBe("succeeded");
      }
    }
    current = text;
    await until(async () => (await answer(loop)) === text);
    await kill.settled();
    await expectInvariants({ env: world.env, state: world.state, cache: world.cache, port: world.port, client });
    expect(readPlatformFile(world.state)?.pid, what).toBeDefined();
  }
  await client.close();
  const counts = Map.groupBy(told, (one) => one);
  console.log(
    [...counts]
      .map(([one, times]) => `${one} × ${times.length}`)
      .sort()
      .join(", "),
  );
  // The seed decides; but whatever it is, each target came up.
  if (rounds >= 70) for (const target of ["platform", "replica"]) expect(told.join()).toContain(target);
});
