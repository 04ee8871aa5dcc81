import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { AppRef, AppSpec, FailureCause, ImageReference } from "../contract/types.ts";
import { type AppctlError, messageOf } from "../core/errors.ts";
import type { Engine, PinnedSecret, RunnableRevision } from "../engine/engine.ts";
import type { Addresses } from "./addresses.ts";
import type { EventLog } from "./event-log.ts";
import { notFound, ProblemError } from "./problem.ts";
import type { ProofOfLive } from "./proof.ts";
import type { SecretStore } from "./secrets.ts";
import type { AppRecord, AppStore, DeploymentRecord, NewEvent, RevisionRecord } from "./store/app-store.ts";
import { isUnwritable } from "./store/database-error.ts";
import { drawSubdomain } from "./subdomain.ts";

/** What the deployer works with. */
export interface DeployerOptions {
  store: AppStore;
  log: EventLog;
  engine: Engine;
  secrets: SecretStore;
  addresses: Addresses;
  proof: ProofOfLive;
  /** Environment that an image's config declares; throws a problem when the image is not whole. */
  imageEnv(digest: string): Promise<Record<string, string>>;
  /** Where the public listener can be reached from this machine. */
  listener(): { host: string; port: number };
  /** Address of the platform for apps. */
  insideAddress: string;
  report(message: string): void;
}

/** How long a database that cannot be written is left alone, in milliseconds. */
const WRITE_AGAIN_MS = 500;

/** The verdict of running one deployment. */
type Verdict = { ok: true } | { ok: false; cause: FailureCause };

/**
 * Turns accepted deploys into running revisions. Each app has a queue of its own, so that concurrent deploys of one app
 * are put in order; what is in a queue stands in the database too, so that a restarted platform goes on where it was.
 */
export class Deployer {
  readonly #o: DeployerOptions;
  readonly #queues = new Map<number, Promise<void>>();
  readonly #running = new Map<number, AbortController>();
  readonly #closing = new AbortController();
  readonly #unwritten = new Map<number, AppctlError>();
  readonly #faults = new Map<number, string>();

  constructor(options: DeployerOptions) {
    this.#o = options;
  }

  /**
   * Brings every app back into its wanted state and goes on with every open deployment. All of it is in the queues when
   * this returns its promise: what is accepted from then on comes after it.
   */
  async resume(): Promise<void> {
    const settled: Promise<void>[] = [];
    for (const { id, ...app } of this.#o.store.all()) {
      const failed = (error: unknown) => {
        this.#faults.set(id, messageOf(error));
        this.#o.report(`resuming ${app.name}: ${messageOf(error)}`);
      };
      if (app.deleting) {
        void this.delete(app).catch(failed);
        continue;
      }
      const settle = async () => {
        const now = this.#o.store.byId(id);
        if (now) await this.#settle(now);
      };
      settled.push(this.#inOrder(id, settle).catch(failed));
      try {
        for (const deployment of this.#o.store.openDeployments(id)) this.#enqueue(id, deployment);
      } catch (error) {
        failed(error);
      }
    }
    await Promise.all(settled);
  }

  /**
   * Accepts a deploy. The same spec, image and secret versions as the revision that serves (or will, once the queue is
   * done) make no revision; the same as a deploy under way joins it.
   */
  async accept(ref: AppRef, spec: AppSpec, image: ImageReference, key: string | undefined): Promise<DeploymentRecord> {
    await this.#o.imageEnv(image.digest);
    const { deployment, created } = this.#o.store.transaction(() => {
      const existing = this.#o.store.find(ref);
      if (existing?.deleting) throw new ProblemError(409, "APP_DELETING", `app ${ref.name} is being deleted`);
      const repeated = existing && key !== undefined ? this.#o.store.deploymentByKey(existing.id, key) : undefined;
      if (repeated) return { deployment: repeated, created: false };

      const pins = this.#pin(ref, spec);
      const app = this.#appFor(ref, spec, existing);
      const fingerprint = fingerprintOf(spec, image, pins);
      const expected = this.#expected(app);
      if (expected && expected.revision.fingerprint === fingerprint) {
        if (expected.deployment && !app.stopped) return { deployment: expected.deployment, created: false };
        if (!expected.deployment) return this.#record(app, expected.revision, !app.stopped, key);
      }
      const known = this.#o.store.revisions(app.id).find((r) => r.fingerprint === fingerprint && r.state === "Ready");
      const revision =
        known ??
        this.#o.store.createRevision(app, {
          spec,
          image: image.reference,
          digest: image.digest,
          secrets: pins,
          fingerprint,
        });
      return this.#record(app, revision, false, key);
    });
    if (created) this.#enqueue(deployment.appId, deployment);
    return deployment;
  }

  /** Starts a stopped app again with the revision that it had; for one that runs, proves that it does. */
  start(ref: AppRef): DeploymentRecord {
    const app = this.#existing(ref);
    const expected = this.#expected(app);
    if (expected?.deployment) return expected.deployment; // a deploy under way starts it
    const revision = expected?.revision;
    if (!revision) throw new ProblemError(409, "NEVER_DEPLOYED", `app ${ref.name} has no revision that was ever ready`);
    return this.#begin(app, revision, !app.stopped);
  }

  /** Moves traffic to an earlier revision, with the secret versions that it is pinned to. */
  traffic(ref: AppRef, name: string | undefined): DeploymentRecord {
    const app = this.#existing(ref);
    const revisions = this.#o.store.revisions(app.id);
    const ready = revisions.filter((r) => r.state === "Ready");
    const wanted = name ?? this.#o.store.served(app.id).find((served) => served !== app.currentRevision);
    const revision = revisions.find((r) => r.name === wanted);
    if (!revision) {
      throw name === undefined
        ? new ProblemError(409, "NO_EARLIER_REVISION", `app ${ref.name} has no earlier revision that was ready`)
        : notFound(`revision ${name} of app ${ref.name}`, `known: ${ready.map((r) => r.name).join(", ") || "none"}`);
    }
    if (revision.state === "Failed") {
      throw new ProblemError(409, "REVISION_FAILED", `revision ${revision.name} failed and cannot get traffic`);
    }
    return this.#begin(app, revision, revision.name === app.currentRevision && !app.stopped);
  }

  /** Stops an app, after the deploys that were accepted before; resolves when its replicas have ended. */
  stop(ref: AppRef): Promise<void> {
    const { id } = this.#existing(ref);
    return this.#inOrder(id, async () => {
      const app = this.#o.store.byId(id);
      if (!app) return;
      this.#o.store.update(id, { stopped: true });
      await this.#o.engine.apply({ ref: refOf(app), revisions: [], traffic: null });
    });
  }

  /** Deletes an app at once: a deploy under way ends, its replicas end, and nothing of it is kept. */
  delete(ref: AppRef): Promise<void> {
    const { id } = this.#existing(ref, true);
    this.#o.store.update(id, { deleting: true });
    this.#running.get(id)?.abort(new Error("the app was deleted"));
    return this.#inOrder(id, async () => {
      const app = this.#o.store.byId(id);
      if (!app) return;
      await this.#o.engine.delete(refOf(app));
      this.#o.store.delete(id);
    });
  }

  /** The revision as the engine runs it. */
  async runnable(app: AppRecord, revision: RevisionRecord): Promise<RunnableRevision> {
    const { addresses } = this.#o;
    return {
      name: revision.name,
      spec: revision.spec,
      digest: revision.digest,
      secrets: revision.secrets,
      env: {
        ...(await this.#o.imageEnv(revision.digest)),
        ...revision.spec.env,
        K_SERVICE: app.name,
        K_CONFIGURATION: app.name,
        K_REVISION: revision.name,
        APPCTL_APP: app.name,
        APPCTL_REVISION: revision.name,
        APPCTL_PROJECT: app.project,
        APPCTL_DOMAIN: app.domain,
        APPCTL_ENDPOINT: this.#o.insideAddress,
        APPCTL_ENDPOINT_PATTERN: addresses.endpointPattern,
      },
    };
  }

  /** Why nothing of the app's deploy under way can be written to the database now; undefined when it can. */
  unwritten(appId: number): AppctlError | undefined {
    return this.#unwritten.get(appId);
  }

  /** Why an app could not be brought back into its wanted state; undefined when it was. */
  fault(appId: number): string | undefined {
    return this.#faults.get(appId);
  }

  /** Stops working; open deployments stay open, for the next start of the platform. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("the platform is stopping"));
    await Promise.allSettled(this.#queues.values());
  }

  #existing(ref: AppRef, deleting = false): AppRecord {
    const app = this.#o.store.find(ref);
    if (!app || (app.deleting && !deleting)) {
      throw notFound(`app ${ref.name} in project ${ref.project} and domain ${ref.domain}`);
    }
    return app;
  }

  #pin(ref: AppRef, spec: AppSpec): PinnedSecret[] {
    const { pinned, missing, unfit } = this.#o.secrets.pin(ref, spec.secrets);
    const faults = [
      ...missing.map((key) => ({
        path: `secrets.${key}`,
        message: `secret ${key} does not exist`,
        hint: `appctl create secret --name ${key}`,
      })),
      ...unfit.map((message) => ({ path: "secrets", message })),
    ];
    if (faults.length === 0) return pinned;
    throw missing.length > 0
      ? new ProblemError(422, "MISSING_SECRETS", `missing: ${missing.join(", ")}`, { faults })
      : new ProblemError(422, "SECRET_NOT_TEXT", unfit.join("; "), { faults });
  }

  #appFor(ref: AppRef, spec: AppSpec, existing: AppRecord | undefined): AppRecord {
    const { store } = this.#o;
    if (spec.subdomain !== undefined) {
      const holder = store.bySubdomain(spec.subdomain);
      if (holder && holder.id !== existing?.id) {
        throw new ProblemError(409, "SUBDOMAIN_TAKEN", `sub-domain ${spec.subdomain} belongs to app ${holder.name}`);
      }
    }
    // An app that has an address keeps it until the revision that asks for another one serves.
    if (existing) return existing;
    let subdomain = spec.subdomain ?? drawSubdomain();
    while (store.bySubdomain(subdomain)) subdomain = drawSubdomain();
    return store.create(ref, subdomain);
  }

  /** The revision that will serve once the queue is done, with the deployment that brings it, if one is open. */
  #expected(app: AppRecord): { revision: RevisionRecord; deployment?: DeploymentRecord } | undefined {
    const open = this.#o.store.openDeployments(app.id).at(-1);
    const name = open?.revision ?? app.currentRevision;
    const revision = name === null ? undefined : this.#o.store.revision(app.id, name);
    return revision && (open ? { revision, deployment: open } : { revision });
  }

  #begin(app: AppRecord, revision: RevisionRecord, unchanged: boolean): DeploymentRecord {
    const { deployment } = this.#o.store.transaction(() => this.#record(app, revision, unchanged, undefined));
    this.#enqueue(app.id, deployment);
    return deployment;
  }

  #record(app: AppRecord, revision: RevisionRecord, unchanged: boolean, key: string | undefined) {
    const deployment = this.#o.store.createDeployment(app, revision.name, unchanged, key);
    if (!unchanged) {
      this.#o.store.appendEvent(deployment, {
        type: "status",
        phase: "Pending",
        reason: "",
        message: "App is pending deployment",
      });
    }
    return { deployment, created: true };
  }

  #enqueue(appId: number, deployment: DeploymentRecord): void {
    void this.#inOrder(appId, () => this.#run(deployment)).catch((error) => {
      if (!this.#closing.signal.aborted) this.#o.report(`deployment ${deployment.id}: ${messageOf(error)}`);
    });
  }

  #inOrder(appId: number, work: () => Promise<void>): Promise<void> {
    const before = this.#queues.get(appId) ?? Promise.resolve();
    const mine = before.then(
      () => this.#closing.signal.throwIfAborted(),
      () => this.#closing.signal.throwIfAborted(),
    );
    const done = mine.then(work);
    const settled = done.then(
      () => undefined,
      () => undefined, // told to whoever asked for this work; the next in the queue goes on
    );
    this.#queues.set(appId, settled);
    void settled.then(() => {
      if (this.#queues.get(appId) === settled) this.#queues.delete(appId);
    });
    return done;
  }

  async #run(deployment: DeploymentRecord): Promise<void> {
    const { store } = this.#o;
    const app = store.byId(deployment.appId);
    const revision = store.revision(deployment.appId, deployment.revision);
    if (!app || app.deleting || !revision || store.deployment(app.id, deployment.id)?.state !== "open") return;
    const subdomain = revision.spec.subdomain ?? app.subdomain;
    const aborter = new AbortController();
    this.#running.set(app.id, aborter);
    const signal = AbortSignal.any([aborter.signal, this.#closing.signal]);
    let live = false;
    try {
      const verdict = await this.#rollOut(app, revision, deployment, signal);
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
        this.#faults.delete(app.id);
      } else {
        // First back to what served, then the verdict: it may have had the traffic, without being live.
        await this.#settle(app);
        await this.#write(
          deployment,
          [
            {
              type: "status",
              phase: "Failed",
              reason: "RevisionFailed",
              message: `Revision "${revision.name}" failed with message: ${verdict.cause.message}.`,
            },
            { type: "failed", revision: revision.name, cause: verdict.cause },
          ],
          () => {
            if (revision.state === "Pending") store.setRevisionState(app.id, revision.name, "Failed");
            store.closeDeployment(deployment, "failed");
          },
        );
      }
    } catch (error) {
      if (signal.aborted) return; // stopping or deleted: the deployment stays open, or goes with the app
      this.#o.report(`deployment ${deployment.id} of ${app.name}: ${error instanceof Error ? error.stack : error}`);
      const cause = { code: "PLATFORM_ERROR", message: messageOf(error) };
      await this.#settle(app).catch((again) => this.#o.report(messageOf(again)));
      await this.#write(deployment, [{ type: "failed", revision: revision.name, cause }], () => {
        if (revision.state === "Pending") store.setRevisionState(app.id, revision.name, "Failed");
        store.closeDeployment(deployment, "failed");
      });
    } finally {
      this.#running.delete(app.id);
    }
    // After the verdict: nobody waits for the last requests of the revision before.
    if (live) await this.#settle({ ...app, currentRevision: revision.name, stopped: false });
  }

  /** Starts the revision beside the one that serves, moves traffic to it and proves that it is live. */
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
    const wanted = [revision, ...(serving && serving.name !== revision.name ? [serving] : [])];
    await engine.apply({
      ref,
      revisions: await Promise.all(wanted.map((r) => this.runnable(app, r))),
      traffic: revision.name,
    });
    for await (const condition of engine.observe(ref, revision.name, signal)) {
      if (condition.ready === "False") {
        return { ok: false, cause: condition.cause ?? { code: condition.reason, message: condition.message } };
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
   * Writes to a deployment's log. A disk that is full does not end the deploy: it stands still until there is space, and
   * who waits for its events is told why. Rejects when the platform stops first: the deployment is open then.
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
        await delay(WRITE_AGAIN_MS, undefined, { signal: this.#closing.signal });
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
      const crashed = this.#o.engine.replicas(app).find((r) => r.revision === revision.name && r.restarts > 0);
      if (crashed && !deployment.unchanged) {
        const message = `it crashed as soon as it was ready (${crashed.lastExit ?? "unknown exit"})`;
        return { ok: false, cause: { code: "NOT_LIVE", message, hint: "its log says more" } };
      }
      if (!outcome.retry || performance.now() >= deadline) {
        return { ok: false, cause: { code: "NOT_LIVE", message: outcome.message } };
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Tells the engine what should run when no deploy is under way. */
  async #settle(app: AppRecord): Promise<void> {
    const current =
      app.stopped || app.currentRevision === null ? undefined : this.#o.store.revision(app.id, app.currentRevision);
    await this.#o.engine.apply({
      ref: refOf(app),
      revisions: current ? [await this.runnable(app, current)] : [],
      traffic: current?.name ?? null,
    });
  }
}

function refOf(app: AppRef): AppRef {
  return { project: app.project, domain: app.domain, name: app.name };
}

function fingerprintOf(spec: AppSpec, image: ImageReference, secrets: PinnedSecret[]): string {
  const pins = secrets.map(({ key, envVar, mount, id, version }) => [key, envVar, mount, id, version]);
  return createHash("sha256")
    .update(stable([spec, image.digest, pins]))
    .digest("hex");
}

/** JSON with sorted keys: equal values give equal text. */
function stable(value: unknown): string {
  return JSON.stringify(value, (_, entry) =>
    entry !== null && typeof entry === "object" && !Array.isArray(entry)
      ? Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1)))
      : entry,
  );
}
