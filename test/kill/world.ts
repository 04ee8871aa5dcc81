/** A user whose platform, commands and replicas are killed: what the tests of this folder share. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { Client } from "../../src/client/client.ts";
import type { AppStatus } from "../../src/contract/types.ts";
import { readPlatformFile } from "../../src/core/platform-file.ts";
import { Redacted } from "../../src/core/redacted.ts";
import { startTimeOf } from "../../src/core/start-time.ts";
import { get, type Running, World } from "../e2e/harness.ts";
import { expectInvariants } from "./invariants.ts";
import { Steps } from "./steps.ts";

const scope = { project: "default", domain: "development" };
const WEB = { ...scope, name: "web" };
const ENTRY = join(import.meta.dirname, "platform.ts");

/** A user with an app `web`, which is deployed again and again with another text, and an app `plain`, which just has to live. */
export class KillWorld {
  readonly world: World;
  readonly steps: Steps;
  /** What `web` answers, and the revision that does. */
  text = "";
  revision = "";
  /** Addresses of both apps. */
  web = "";
  plain = "";
  /** The platform that can be armed, when that one runs. */
  #armable: ChildProcess | undefined;
  #next = 1;

  private constructor(world: World, steps: Steps) {
    this.world = world;
    this.steps = steps;
  }

  static async create(): Promise<KillWorld> {
    const kill = new KillWorld(await World.create(), await Steps.open());
    const { world } = kill;
    world.folder("plain", {
      "server.mjs": `import { createServer } from "node:http";
        createServer((_, res) => res.end("plain")).listen(process.env.PORT, "127.0.0.1");`,
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "plain", requiresAuth: false, include: ["server.mjs"], args: ["node", "server.mjs"] });`,
    });
    kill.plain = (await world.ok(["deploy", "apps", "plain/app.ts", "plain", "-o", "url"])).trim();
    await world.ok(["create", "secret", "--name", "KEPT", "--value-file", "-"], { stdin: "a secret" });
    const text = kill.write();
    kill.web = (await world.ok(["deploy", "apps", "web/app.ts", "web", "-o", "url"])).trim();
    await kill.serves(text);
    kill.deployed(text, "web-00001");
    return kill;
  }

  /** Gives the file of `web` a text that it never had; returns it. */
  write(): string {
    const text = `v${this.#next++}`;
    this.world.folder("web", { "app.ts": this.steps.app("web", text) });
    return text;
  }

  /** What serves from now on. */
  deployed(text: string, revision: string): void {
    this.text = text;
    this.revision = revision;
  }

  /** Starts the command that deploys `web`. */
  deploy(env: Record<string, string> = {}): Running {
    return this.world.start(["deploy", "apps", "web/app.ts", "web"], { env });
  }

  /** The name of the revision that the next deploy makes. */
  async nextRevision(): Promise<string> {
    const [newest] = await this.use((client) => client.listRevisions(WEB));
    return `web-${String(Number(newest?.name.slice(-5)) + 1).padStart(5, "0")}`;
  }

  /**
   * The same command again, to its end: it makes the new revision, or finds it made. Then everything has to be true that
   * holds whatever happened, and an equal deploy has only one revision that was ever ready.
   */
  async deployAgain(text: string): Promise<{ revision: string; unchanged: boolean }> {
    const { world } = this;
    const again = await world.json<{ revision: string; unchanged: boolean }>(["deploy", "apps", "web/app.ts", "web"]);
    await this.serves(text);
    this.deployed(text, again.revision);
    await this.settled();
    await this.use(async (client) => {
      const revisions = await client.listRevisions(WEB);
      const equal = revisions.filter(({ digest }) => digest === revisions[0]?.digest);
      expect(equal.filter(({ state }) => state !== "Failed").map(({ name }) => name)).toEqual([again.revision]);
      expect(revisions.filter(({ active }) => active).map(({ name }) => name)).toEqual([again.revision]);
      expect((await client.listSecrets(scope)).map(({ name }) => name)).toEqual(["KEPT"]);
      await expectInvariants({ env: world.env, state: world.state, cache: world.cache, port: world.port, client });
    });
    return again;
  }

  /** The platform's own key. */
  key(): Redacted<string> {
    return new Redacted(readFileSync(join(this.world.state, "admin.key"), "utf8").trim());
  }

  /** A client that does not bring the platform back. */
  client(): Client {
    return new Client({ endpoint: `http://127.0.0.1:${this.world.port}`, apiKey: this.key() });
  }

  /** {@link KillWorld.client}, for the time of `work`. */
  async use<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = this.client();
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  }

  /** Kills the platform that runs and the supervisor above it, and waits until both are gone. */
  async killEverything(): Promise<void> {
    const { supervisor } = readPlatformFile(this.world.state) ?? {};
    if (supervisor && startTimeOf(supervisor.pid) === supervisor.startTime) {
      process.kill(supervisor.pid, "SIGKILL");
      await until(() => startTimeOf(supervisor.pid) !== supervisor.startTime);
    }
    await this.killPlatform();
  }

  /** Kills whichever platform runs, and waits until it is gone. A supervisor above it starts another one. */
  async killPlatform(): Promise<void> {
    const pid = readPlatformFile(this.world.state)?.pid;
    if (pid === undefined) throw new Error("no platform was ever started");
    const gone =
      this.#armable?.pid === pid && this.#armable.exitCode === null && this.#armable.signalCode === null
        ? once(this.#armable, "exit")
        : undefined;
    // It may be dead already: the file of a killed platform stays.
    if (isRunning(pid)) process.kill(pid, "SIGKILL");
    await gone;
    await until(() => !isRunning(pid));
  }

  /** Kills the platform that runs, and starts one that kills itself at a point of its start; gives the signal of its end. */
  async startAndDie(point: string): Promise<NodeJS.Signals | null> {
    await this.killEverything();
    const [, signal] = await once(this.#spawn(point), "exit");
    return signal;
  }

  #spawn(...args: string[]): ChildProcess {
    const child = spawn(process.execPath, [ENTRY, String(this.world.port), ...args], {
      env: { ...this.world.env },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    child.stderr?.resume();
    return child;
  }

  /** Kills the platform that runs, and starts one that can be armed, with everything serving again. */
  async startArmable(): Promise<void> {
    await this.killEverything();
    const child = this.#spawn();
    let log = "";
    child.stderr?.setEncoding("utf8").on("data", (text) => {
      log += text;
    });
    const died = once(child, "exit").then(() => {
      throw new Error(`the platform did not start:\n${log}`);
    });
    const [message] = (await Promise.race([once(child, "message"), died])) as [{ type: string }];
    died.catch(() => undefined);
    if (message.type !== "ready") throw new Error(`the platform did not start: ${JSON.stringify(message)}`);
    this.#armable = child;
    await Promise.all([this.serves(this.text), until(async () => (await answer(this.plain)) === "plain")]);
    await this.settled();
  }

  /** Arms the platform; `died` resolves with the signal that ended it, `killed` with the replicas that were killed. */
  async arm(point: string, revision?: string) {
    const child = this.#armable;
    if (!child) throw new Error("the platform cannot be armed");
    child.send({ arm: point, revision });
    await once(child, "message");
    return {
      died: once(child, "exit").then(([, signal]) => signal as NodeJS.Signals | null),
      killed: once(child, "message").then(([message]) => (message as { pids: number[] }).pids),
    };
  }

  /** Waits until the public address of `web` answers `text`; until then it may answer `before`, and no other text. */
  async serves(text: string, before = text): Promise<void> {
    await until(async () => {
      const found = await answer(this.web);
      if (found !== undefined && found !== text && found !== before) {
        throw new Error(`${this.web} answered ${found}, and not ${text}`);
      }
      return found === text;
    });
  }

  /** Waits until there is one replica for each app, and none that is starting or ending. */
  async settled(): Promise<void> {
    const isSettled = ({ revision, replicas: [replica, ...more] }: AppStatus) =>
      replica?.state === "Ready" && replica.revision === revision && more.length === 0;
    await this.use((client) => until(async () => (await client.listApps(scope)).every(isSettled)));
  }

  async close(): Promise<void> {
    await this.world.close();
    this.steps.close();
  }
}

/** The body of a 200 at `url`; undefined for everything else: nobody listens, or the gateway answers itself. */
export async function answer(url: string): Promise<string | undefined> {
  const found = await get(`${url}/`).catch(() => undefined);
  return found?.status === 200 ? found.body : undefined;
}

/** Looks until it is true. The test's own time limit ends it. */
export async function until(look: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await look())) await new Promise((resolve) => setTimeout(resolve, 15));
}

/** True while the process runs; one that has ended and waits for its parent does not. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false; // it is gone
  }
}
