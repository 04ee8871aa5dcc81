import { setTimeout as delay } from "node:timers/promises";
import { appEnvironment } from "../../contract/app-environment.ts";
import type { AppRef, FailureCause } from "../../contract/types.ts";
import { type AppctlError, messageOf } from "../../core/errors.ts";
import { causeOf } from "../../engine/causes.ts";
import type { Engine, RunnableRevision } from "../../engine/engine.ts";
import type { Addresses } from "../addresses.ts";
import type { WholeImage } from "../images/whole-image.ts";
import type { AppRecord, AppStore, DeploymentRecord, NewEvent, RevisionRecord } from "../store/app-store.ts";
import { isUnwritable } from "../store/database-error.ts";
import type { EventLog } from "./event-log.ts";
import type { ProofOfLive } from "./proof-of-live.ts";

/** What a rollout works with. */
export interface RolloutOptions {
  store: AppStore;
  log: EventLog;
  engine: Engine;
  addresses: Addresses;
  proof: ProofOfLive;
  /** Throws a problem when an image is not whole. */
  image(digest: string): Promise<WholeImage>;
  /** Where the public listener can be reached from this machine. */
  listener(): { host: string; port: number };
  /** Address of the platform for apps. */
  insideAddress: string;
  /** Deployments, as `<app>/<deployment>`, that are not tried again: the platform crashed with them too often. */
  givenUp?: ReadonlySet<string>;
  report(message: string): void;
}

/** How long a database that cannot be written is left alone, in milliseconds. */
const WRITE_AGAIN_MS = 500;

/** The verdict of running one deployment. */
type Verdict = { ok: true } | { ok: false; cause: FailureCause };

/** Runs one deployment of an app at a time: starts its revision, moves the traffic, proves that it is live, writes the verdict. */
export class Rollout {
  readonly #o: RolloutOptions;
  readonly #closing: AbortSignal;
  readonly #running = new Map<number, AbortController>();
  readonly #unwritten = new Map<number, AppctlError>();

  /** `closing` aborts when the platform stops. */
  constructor(options: RolloutOptions, closing: AbortSignal) {
    this.#o = options;
    this.#closing = closing;
  }

  /** Ends the app's deployment under way, if there is one, without a verdict. */
  abort(appId: number, reason: Error): void {
    this.#running.get(appId)?.abort(reason);
  }

  /** Why nothing of the app's deploy under way can be written to the database now; undefined when it can. */
  unwritten(appId: number): AppctlError | undefined {
    return this.#unwritten.get(appId);
  }

  /** Brings a deployment to its verdict. True when its revision is live; an aborted one stays open. */
  async run(deployment: DeploymentRecord): Promise<boolean> {
    const { store } = this.#o;
    const app = store.byId(deployment.appId);
    const revision = store.revision(deployment.appId, deployment.revision);
    if (!app || app.deleting || !revision || store.deployment(app.id, deployment.id)?.state !== "open") return false;
    const subdomain = revision.spec.subdomain ?? app.subdomain;
    const aborter = new AbortController();
    this.#running.set(app.id, aborter);
    const signal = AbortSignal.any([aborter.signal, this.#closing]);
    let live = false;
    try {
      const isGivenUp = this.#o.givenUp?.has(`${deployment.appId}/${deployment.id}`);
      const verdict: Verdict = isGivenUp
        ? { ok: false, cause: causeOf("platformCrashed") }
        : await this.#rollOut(app, revision, deployment, signal);
      if (verdict.ok) {
        await this.#write(
          deployment,
          [
            { type: "status", phase: "Started", reason: "", message: "Service is ready" },
            {
              type: "succeeded",
              endpoint: this.#o.addresses.endpoint(subdomain),
              revision: revision.name,
              image: revision.image,
              digest: revision.digest,
              unchanged: deployment.unchanged,
            },
          ],
          () => {
            store.setRevisionState(app.id, revision.name, "Ready");
            store.update(app.id, { currentRevision: revision.name, stopped: false, subdomain });
            store.closeDeployment(deployment, "succeeded");
          },
        );
        live = true;
      } else {
        // First back to what served, then the verdict: it may have had the traffic, without being live.
        await this.#settleOn(app, (current) => this.#stillRunnable(app, current));
        await this.#write(
          deployment,
          [
            {
              type: "status",
              phase: "Failed",
              reason: "RevisionFailed",
              // The event after it says why.
              message: `Revision "${revision.name}" failed.`,
            },
            { type: "failed", revision: revision.name, cause: verdict.cause, serving: this.#serving(app) },
          ],
          () => {
            if (revision.state === "Pending") store.setRevisionState(app.id, revision.name, "Failed");
            store.closeDeployment(deployment, "failed");
          },
        );
      }
    } catch (error) {
      if (signal.aborted) return false; // stopping or deleted: the deployment stays open, or goes with the app
      this.#o.report(`deployment ${deployment.id} of ${app.name}: ${error instanceof Error ? error.stack : error}`);
      const cause = causeOf("platformError", { error: messageOf(error) });
      await this.settle(app).catch((again) => this.#o.report(messageOf(again)));
      const failed = { type: "failed", revision: revision.name, cause, serving: this.#serving(app) } as const;
      await this.#write(deployment, [failed], () => {
        if (revision.state === "Pending") store.setRevisionState(app.id, revision.name, "Failed");
        store.closeDeployment(deployment, "failed");
      });
    } finally {
      this.#running.delete(app.id);
    }
    // After the verdict: nobody waits for the last requests of the revision before.
    if (live) await this.settle({ ...app, currentRevision: revision.name, stopped: false });
    return live;
  }

  /** Starts the revision next to the one that serves, moves traffic to it and proves that it is live. */
  async #rollOut(
    app: AppRecord,
    revision: RevisionRecord,
    deployment: DeploymentRecord,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const { engine } = this.#o;
    const ref = refOf(app);
    const serving =
      app.stopped || app.currentRevision === null ? undefined : this.#o.store.revision(app.id, app.currentRevision);
    const wanted = [await this.#runnable(app, revision)];
    if (serving && serving.name !== revision.name) wanted.push(await this.#stillRunnable(app, serving));
    await engine.apply({ ref, revisions: wanted, traffic: revision.name });
    for await (const condition of engine.observe(ref, revision.name, signal)) {
      if (condition.ready === "False") {
        return { ok: false, cause: condition.cause ?? causeOf("engineError", { error: condition.message }) };
      }
      if (condition.ready === "True") break;
      if (!deployment.unchanged) await this.#status(deployment, condition.reason, condition.message);
    }
    signal.throwIfAborted();
    if (!deployment.unchanged) await this.#status(deployment, "Uninitialized", "Waiting for load balancer to be ready");
    return this.#prove(app, revision, deployment, signal);
  }

  /** Logs a status, unless it is the last one already: a deployment that is taken up again passes its steps once more. */
  async #status(deployment: DeploymentRecord, reason: string, message: string): Promise<void> {
    const last = this.#o.store.lastEvent(deployment);
    if (last?.type === "status" && last.reason === reason && last.message === message) return;
    await this.#write(deployment, [{ type: "status", phase: "Pending", reason, message }]);
  }

  /**
   * Writes to a deployment's log. A full disk does not end the deploy: it waits until there is space, and
   * clients that wait for its events get the reason. Rejects when the platform stops first: the deployment is open then.
   */
  async #write(deployment: DeploymentRecord, events: NewEvent[], change?: () => void): Promise<void> {
    const { appId, id } = deployment;
    try {
      for (;;) {
        try {
          return this.#o.log.append(deployment, events, change);
        } catch (error) {
          if (!isUnwritable(error)) throw error;
          if (!this.#unwritten.has(appId)) this.#o.report(`deployment ${id} waits: ${messageOf(error)}`);
          this.#unwritten.set(appId, error as AppctlError);
          this.#o.log.wake(deployment);
        }
        await delay(WRITE_AGAIN_MS, undefined, { signal: this.#closing });
      }
    } finally {
      this.#unwritten.delete(appId);
    }
  }

  async #prove(
    app: AppRecord,
    revision: RevisionRecord,
    deployment: DeploymentRecord,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const deadline = performance.now() + revision.spec.startTimeout * 1000;
    for (;;) {
      const outcome = await this.#o.proof.prove(
        {
          host: this.#o.addresses.host(app.subdomain),
          address: this.#o.listener(),
          revision: revision.name,
          requiresAuth: revision.spec.requiresAuth,
          timeoutMs: Math.max(
            1,
            Math.min(revision.spec.requestTimeout * 1000, Math.ceil(deadline - performance.now())),
          ),
        },
        signal,
      );
      signal.throwIfAborted();
      if (outcome.ok) return outcome;
      const crash = deployment.unchanged ? undefined : this.#o.engine.lastFailure(app, revision.name);
      if (crash) return { ok: false, cause: crash };
      if (!outcome.retry || performance.now() >= deadline) {
        return { ok: false, cause: causeOf("notLive", { problem: outcome.message }) };
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** The revision that serves when a deploy has failed and the app is back in its wanted state. */
  #serving(app: AppRecord): string | null {
    if (app.stopped) return null;
    const isReady = this.#o.engine
      .replicas(app)
      .some(({ revision, state }) => revision === app.currentRevision && state === "Ready");
    return isReady ? app.currentRevision : null;
  }

  /** Tells the engine what should run when no deploy is under way. */
  async settle(app: AppRecord): Promise<void> {
    await this.#settleOn(app, (current) => this.#runnable(app, current));
  }

  async #settleOn(app: AppRecord, runnable: (current: RevisionRecord) => Promise<RunnableRevision>): Promise<void> {
    const current =
      app.stopped || app.currentRevision === null ? undefined : this.#o.store.revision(app.id, app.currentRevision);
    await this.#o.engine.apply({
      ref: refOf(app),
      revisions: current ? [await runnable(current)] : [],
      traffic: current?.name ?? null,
    });
  }

  /**
   * The revision that serves until another one does. When its image is lost or damaged it goes on running, if it does; if not,
   * the engine says why. It keeps no other revision from taking its place.
   */
  async #stillRunnable(app: AppRecord, revision: RevisionRecord): Promise<RunnableRevision> {
    try {
      return await this.#runnable(app, revision);
    } catch (error) {
      this.#o.report(`${revision.name} of ${app.name}: ${messageOf(error)}`);
      return this.#withEnv(app, revision, {});
    }
  }

  /** The revision as the engine runs it. */
  async #runnable(app: AppRecord, revision: RevisionRecord): Promise<RunnableRevision> {
    return this.#withEnv(app, revision, (await this.#o.image(revision.digest)).env);
  }

  #withEnv(app: AppRecord, revision: RevisionRecord, imageEnv: Record<string, string>): RunnableRevision {
    const { addresses } = this.#o;
    return {
      name: revision.name,
      spec: revision.spec,
      digest: revision.digest,
      secrets: revision.secrets,
      env: {
        ...imageEnv,
        ...revision.spec.env,
        ...appEnvironment({
          app,
          revision: revision.name,
          endpoint: this.#o.insideAddress,
          endpointPattern: addresses.endpointPattern,
        }),
      },
    };
  }
}

/** The name of a stored app, and nothing else of it. */
export function refOf(app: AppRef): AppRef {
  return { project: app.project, domain: app.domain, name: app.name };
}
