import { createHash } from "node:crypto";
import type { AppRef, AppSpec, ImageReference } from "../../contract/types.ts";
import { type AppctlError, messageOf } from "../../core/errors.ts";
import type { PinnedSecret } from "../../engine/engine.ts";
import { notFound, ProblemError } from "../problem.ts";
import type { SecretStore } from "../secrets/secret-store.ts";
import type { AppRecord, DeploymentRecord, RevisionRecord } from "../store/app-store.ts";
import { Rollout, type RolloutOptions, refOf } from "./rollout.ts";
import { drawSubdomain } from "./subdomain.ts";

/** What the deployer works with. */
export interface DeployerOptions extends RolloutOptions {
  secrets: SecretStore;
}

/**
 * Turns accepted deploys into running revisions. Each app has a queue of its own, so that concurrent deploys of one app
 * are put in order; the database has the content of the queues, too, so that a restarted platform continues.
 */
export class Deployer {
  readonly #o: DeployerOptions;
  readonly #rollout: Rollout;
  readonly #queues = new Map<number, Promise<void>>();
  readonly #closing = new AbortController();
  readonly #faults = new Map<number, string>();

  constructor(options: DeployerOptions) {
    this.#o = options;
    this.#rollout = new Rollout(options, this.#closing.signal);
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
        if (now) await this.#rollout.settle(now);
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
    const { requireWhole } = await this.#o.image(image.digest);
    const { deployment, created } = this.#o.store.transaction(() => {
      const existing = this.#o.store.find(ref);
      if (existing?.deleting) throw new ProblemError("APP_DELETING", `app ${ref.name} is being deleted`);
      const repeated = existing && key !== undefined ? this.#o.store.deploymentByKey(existing.id, key) : undefined;
      if (repeated) return { deployment: repeated, created: false };
      // Whoever deletes an image looks for revisions that need it in the moment at which it goes: it went before, or stays.
      requireWhole();

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
    if (!revision) throw new ProblemError("NEVER_DEPLOYED", `app ${ref.name} has no revision that was ever ready`);
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
        ? new ProblemError("NO_EARLIER_REVISION", `app ${ref.name} has no earlier revision that was ready`)
        : notFound(`revision ${name} of app ${ref.name}`, `known: ${ready.map((r) => r.name).join(", ") || "none"}`);
    }
    if (revision.state === "Failed") {
      throw new ProblemError("REVISION_FAILED", `revision ${revision.name} failed and cannot get traffic`);
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
    this.#rollout.abort(id, new Error("the app was deleted"));
    return this.#inOrder(id, async () => {
      const app = this.#o.store.byId(id);
      if (!app) return;
      await this.#o.engine.delete(refOf(app));
      this.#o.store.delete(id);
    });
  }

  /** Why nothing of the app's deploy under way can be written to the database now; undefined when it can. */
  unwritten(appId: number): AppctlError | undefined {
    return this.#rollout.unwritten(appId);
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
      ? new ProblemError("MISSING_SECRETS", `missing: ${missing.join(", ")}`, { faults })
      : new ProblemError("SECRET_NOT_TEXT", unfit.join("; "), { faults });
  }

  #appFor(ref: AppRef, spec: AppSpec, existing: AppRecord | undefined): AppRecord {
    const { store } = this.#o;
    if (spec.subdomain !== undefined) {
      const holder = store.bySubdomain(spec.subdomain);
      if (holder && holder.id !== existing?.id) {
        throw new ProblemError("SUBDOMAIN_TAKEN", `sub-domain ${spec.subdomain} belongs to app ${holder.name}`);
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
    const run = async () => {
      if (await this.#rollout.run(deployment)) this.#faults.delete(appId);
    };
    void this.#inOrder(appId, run).catch((error) => {
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
      () => undefined, // the caller gets this error; the next in the queue continues
    );
    this.#queues.set(appId, settled);
    void settled.then(() => {
      if (this.#queues.get(appId) === settled) this.#queues.delete(appId);
    });
    return done;
  }
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
