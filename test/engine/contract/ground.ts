/** What a case stands on: an engine, and the moves that cases are made of. */
import { request } from "node:http";
import { expect } from "vitest";
import { WebSocket } from "ws";
import { REPLICA_TOKEN_HEADER } from "../../../src/contract/headers.ts";
import type { LogLine, ReplicaStatus } from "../../../src/contract/types.ts";
import type { Lease } from "../../../src/core/lease.ts";
import type { Condition, Engine, LogQuery, PinnedSecret, RunnableRevision } from "../../../src/engine/engine.ts";
import { type Answer, call, collect, ref, until } from "../helpers.ts";
import type { Behaviour } from "./program.ts";
import type { RevisionDetails, Stage, Wishes } from "./subject.ts";

/** A signal that never aborts: the test's own time limit ends the wait. */
export const never = new AbortController().signal;

/** A request that is under way until the test ends it. */
export interface HeldRequest {
  /** Sends the rest of the body and gives the answer. */
  finish(text: string): Promise<Answer>;
  /** Resolves when the connection broke before the answer was whole. */
  broken: Promise<void>;
}

/** One case's ground. */
export class Ground {
  readonly stage: Stage;
  engine: Engine;

  private constructor(stage: Stage, engine: Engine) {
    this.stage = stage;
    this.engine = engine;
  }

  static async of(stage: Stage): Promise<Ground> {
    return new Ground(stage, await stage.open());
  }

  /** Closes the engine, and starts another one on the same state. */
  async reopen(wishes?: Wishes): Promise<void> {
    await this.engine.close();
    this.engine = await this.stage.open(wishes);
  }

  revision(name: string, behaviour: Behaviour = {}, details: RevisionDetails = {}): Promise<RunnableRevision> {
    return this.stage.revision(name, behaviour, details);
  }

  /** Stores a secret's value, and gives a pin on it. */
  secret(envVar: string, value: Buffer | string, pin: Partial<PinnedSecret> = {}): PinnedSecret {
    const pinned: PinnedSecret = { key: envVar.toLowerCase(), envVar, mount: "env", id: envVar, version: 1, ...pin };
    this.stage.secret(pinned.id, pinned.version, Buffer.from(value));
    return pinned;
  }

  /** Wants the revisions, with traffic to the first; none stops the app. */
  async want(...revisions: RunnableRevision[]): Promise<void> {
    await this.engine.apply({ ref, revisions, traffic: revisions[0]?.name ?? null });
  }

  /** Conditions of a revision from now on, up to its verdict. */
  conditions(revision: RunnableRevision): Promise<Condition[]> {
    return collect(this.engine.observe(ref, revision.name, never));
  }

  /** The condition of a revision now. */
  async condition(revision: RunnableRevision): Promise<Condition> {
    for await (const condition of this.engine.observe(ref, revision.name, never)) return condition;
    throw new Error("an observer saw nothing");
  }

  /** Wants the revisions, and gives the conditions of the first. */
  async deploy(...revisions: [RunnableRevision, ...RunnableRevision[]]): Promise<Condition[]> {
    await this.want(...revisions);
    return this.conditions(revisions[0]);
  }

  /** Wants the revisions, and expects that the first gets the traffic. */
  async serve(...revisions: [RunnableRevision, ...RunnableRevision[]]): Promise<void> {
    expect((await this.deploy(...revisions)).at(-1)).toEqual(ready(revisions[0]));
  }

  /** Makes a revision and serves it alone. */
  async serveNew(name: string, behaviour?: Behaviour, details?: RevisionDetails): Promise<RunnableRevision> {
    const revision = await this.revision(name, behaviour, details);
    await this.serve(revision);
    return revision;
  }

  get serving(): string | null {
    return this.engine.serving(ref);
  }

  get replicas(): ReplicaStatus[] {
    return this.engine.replicas(ref);
  }

  /** A lease on the app's one replica. */
  lease(): Lease {
    const lease = this.engine.lease(ref);
    if (!lease) throw new Error("no replica is ready");
    return lease;
  }

  /** Body of an answer of the app's replica. */
  async ask(path = "/", body?: string): Promise<string> {
    return (await call(this.lease(), path, body === undefined ? {} : { method: "POST", body })).body;
  }

  /** Prints through the replica. */
  async print(text: string): Promise<void> {
    expect(await this.ask("/print", text)).toBe("printed");
  }

  /** Ends the replica's program with a code, as a crash in the midst of a request does. */
  async crash(code: number): Promise<void> {
    await expect(call(this.lease(), `/exit?code=${code}`)).rejects.toThrow();
  }

  /** Ends the replica's program as {@link crash} does, and waits until the engine has started it again. */
  async crashAndRestart(code: number): Promise<void> {
    const restarts = (this.replicas[0]?.restarts ?? 0) + 1;
    await this.crash(code);
    await until(() => this.replicas[0]?.restarts === restarts && this.replicas[0].state === "Ready");
  }

  /** Resolves when the replicas are those of these revisions, and each is ready. */
  async settled(...revisions: string[]): Promise<void> {
    await until(() => {
      const found = this.replicas;
      const isReady = found.every(({ state }) => state === "Ready");
      return isReady && found.map(({ revision }) => revision).join() === revisions.join();
    });
  }

  /** Wants nothing, and waits until nothing runs. */
  async stop(): Promise<void> {
    await this.want();
    await this.settled();
  }

  logs(query: Partial<LogQuery> = {}): Promise<LogLine[]> {
    return collect(this.engine.logs(ref, { follow: false, signal: never, ...query }));
  }

  /** Texts of the log, once `last` is among them. */
  async textsUpTo(last: string): Promise<string[]> {
    const texts: string[] = [];
    for await (const { line } of this.engine.logs(ref, { follow: true, signal: never })) {
      texts.push(line);
      if (line === last) break;
    }
    return texts;
  }

  /** Begins a request that the program has got and cannot answer yet. The lease is released at its end. */
  hold(lease: Lease): Promise<HeldRequest> {
    return new Promise((resolve, reject) => {
      const headers = lease.token === undefined ? {} : { [REPLICA_TOKEN_HEADER]: lease.token };
      const req = request({ ...lease.address, path: "/echo", method: "POST", agent: false, headers });
      req.on("error", reject).once("close", () => lease.release());
      req.on("response", (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (text) => {
          body += text;
        });
        const answer = new Promise<Answer>((whole, cut) => {
          response.once("error", cut);
          response.once("end", () => whole({ status: response.statusCode ?? 0, headers: response.headers, body }));
        });
        const broken = answer.then(() => new Promise<never>(() => {})).catch(() => {});
        resolve({
          broken,
          finish: (text) => {
            req.end(text);
            return answer;
          },
        });
      });
      req.flushHeaders();
    });
  }

  /** Opens a WebSocket. The lease is released when it closes. */
  socket(lease: Lease): Promise<WebSocket> {
    const { address, token } = lease;
    const url = "socketPath" in address ? `ws+unix:${address.socketPath}:/` : `ws://${address.host}:${address.port}/`;
    const socket = new WebSocket(url, { headers: token === undefined ? {} : { [REPLICA_TOKEN_HEADER]: token } });
    socket.once("close", () => lease.release());
    return new Promise((resolve, reject) => {
      socket.once("open", () => resolve(socket)).once("error", reject);
    });
  }
}

/** The verdict of a revision that gets the traffic. */
export function ready({ name }: RunnableRevision): Condition {
  return { revision: name, ready: "True", reason: "", message: "" };
}

/** Who is asked there, in the program's own words of this life; null when it does not answer any more. */
export function lifeAt(lease: Lease): Promise<string | null> {
  return call({ ...lease, release: () => {} }, "/life").then(
    ({ body }) => body,
    () => null,
  );
}
