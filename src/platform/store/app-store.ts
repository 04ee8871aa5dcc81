import type { AppRef, AppSpec, DeploymentEvent } from "../../contract/types.ts";
import type { PinnedSecret } from "../../engine/engine.ts";
import type { Database } from "./database.ts";

/** An app, as it is stored. `currentRevision` gets its traffic. Times are ISO 8601. */
export interface AppRecord extends AppRef {
  id: number;
  subdomain: string;
  currentRevision: string | null;
  stopped: boolean;
  deleting: boolean;
  createdAt: string;
  updatedAt: string;
}

/** A revision: immutable but for its state. */
export interface RevisionRecord {
  appId: number;
  name: string;
  spec: AppSpec;
  image: string;
  digest: string;
  secrets: PinnedSecret[];
  /** Equal for equal spec, image and secret versions. */
  fingerprint: string;
  state: "Pending" | "Ready" | "Failed";
  createdAt: string;
}

/** One deploy of a revision. It is `open` until its terminal event is written. */
export interface DeploymentRecord {
  appId: number;
  id: number;
  revision: string;
  unchanged: boolean;
  state: "open" | "succeeded" | "failed";
  createdAt: string;
}

/** An event before its log gives it a number and a time. */
export type NewEvent = DeploymentEvent extends infer E
  ? E extends unknown
    ? Omit<E, "v" | "seq" | "time">
    : never
  : never;

type Row = Record<string, string | number | null>;

/** Apps, revisions, deployments and their event logs. Every method is one transaction or part of the caller's. */
export class AppStore {
  readonly #db: Database;
  readonly #now: () => Date;
  readonly #listeners: ((appId: number) => void)[] = [];

  constructor(db: Database, now: () => Date) {
    this.#db = db;
    this.#now = now;
  }

  transaction<T>(work: () => T): T {
    return this.#db.transaction(work);
  }

  /** Calls `listener` after an app's record has changed or gone. */
  onChange(listener: (appId: number) => void): void {
    this.#listeners.push(listener);
  }

  find(ref: AppRef): AppRecord | undefined {
    const row = this.#db.get<Row>(
      "SELECT * FROM apps WHERE project = ? AND domain = ? AND name = ?",
      ...[ref.project, ref.domain, ref.name],
    );
    return row && appOf(row);
  }

  byId(id: number): AppRecord | undefined {
    const row = this.#db.get<Row>("SELECT * FROM apps WHERE id = ?", id);
    return row && appOf(row);
  }

  bySubdomain(subdomain: string): AppRecord | undefined {
    const row = this.#db.get<Row>("SELECT * FROM apps WHERE subdomain = ?", subdomain);
    return row && appOf(row);
  }

  list(scope: { project: string; domain: string }): AppRecord[] {
    return this.#db
      .all<Row>("SELECT * FROM apps WHERE project = ? AND domain = ? ORDER BY name", scope.project, scope.domain)
      .map(appOf);
  }

  /** Every project and domain with an app or a secret of its own, in order. */
  places(): { project: string; domain: string }[] {
    return this.#db.all(
      `SELECT project, domain FROM apps UNION SELECT project, domain FROM secrets WHERE scope = 'project' ORDER BY 1, 2`,
    );
  }

  all(): AppRecord[] {
    return this.#db.all<Row>("SELECT * FROM apps ORDER BY id").map(appOf);
  }

  create(ref: AppRef, subdomain: string): AppRecord {
    const now = this.#now().toISOString();
    this.#db.run(
      "INSERT INTO apps (project, domain, name, subdomain, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
      ...[ref.project, ref.domain, ref.name, subdomain, now, now],
    );
    return this.find(ref) as AppRecord;
  }

  update(
    id: number,
    change: { subdomain?: string; currentRevision?: string | null; stopped?: boolean; deleting?: boolean },
  ): void {
    const set = (column: string, value: string | number | null) =>
      this.#db.run(`UPDATE apps SET ${column} = ?, updated_at = ? WHERE id = ?`, value, this.#now().toISOString(), id);
    if (change.subdomain !== undefined) set("subdomain", change.subdomain);
    if (change.currentRevision !== undefined) set("current_revision", change.currentRevision);
    if (change.stopped !== undefined) set("stopped", change.stopped ? 1 : 0);
    if (change.deleting !== undefined) set("deleting", change.deleting ? 1 : 0);
    for (const listener of this.#listeners) listener(id);
  }

  delete(id: number): void {
    this.#db.run("DELETE FROM apps WHERE id = ?", id);
    for (const listener of this.#listeners) listener(id);
  }

  revision(appId: number, name: string): RevisionRecord | undefined {
    const row = this.#db.get<Row>("SELECT * FROM revisions WHERE app_id = ? AND name = ?", appId, name);
    return row && revisionOf(row);
  }

  /** Newest first: in the order in which they were made, whatever the clock said. */
  revisions(appId: number): RevisionRecord[] {
    return this.#db.all<Row>("SELECT * FROM revisions WHERE app_id = ? ORDER BY rowid DESC", appId).map(revisionOf);
  }

  createRevision(
    app: AppRecord,
    content: Omit<RevisionRecord, "appId" | "name" | "state" | "createdAt">,
  ): RevisionRecord {
    const { next } = this.#db.get<{ next: number }>(
      "UPDATE apps SET next_revision = next_revision + 1 WHERE id = ? RETURNING next_revision - 1 AS next",
      app.id,
    ) as { next: number };
    const name = `${app.name}-${String(next).padStart(5, "0")}`;
    this.#db.run(
      `INSERT INTO revisions (app_id, name, spec, image, digest, secrets, fingerprint, state, created_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, 'Pending', ?)`,
      ...[app.id, name, JSON.stringify(content.spec), content.image, content.digest],
      ...[JSON.stringify(content.secrets), content.fingerprint, this.#now().toISOString()],
    );
    return this.revision(app.id, name) as RevisionRecord;
  }

  setRevisionState(appId: number, name: string, state: RevisionRecord["state"]): void {
    this.#db.run("UPDATE revisions SET state = ? WHERE app_id = ? AND name = ?", state, appId, name);
  }

  createDeployment(app: AppRecord, revision: string, unchanged: boolean, key: string | undefined): DeploymentRecord {
    const { next } = this.#db.get<{ next: number }>(
      "UPDATE apps SET next_deployment = next_deployment + 1 WHERE id = ? RETURNING next_deployment - 1 AS next",
      app.id,
    ) as { next: number };
    this.#db.run(
      `INSERT INTO deployments (app_id, id, revision, unchanged, state, idempotency_key, created_at)
       VALUES (?, ?, ?, ?, 'open', ?, ?)`,
      ...[app.id, next, revision, unchanged ? 1 : 0, key ?? null, this.#now().toISOString()],
    );
    return this.deployment(app.id, next) as DeploymentRecord;
  }

  deployment(appId: number, id: number): DeploymentRecord | undefined {
    const row = this.#db.get<Row>("SELECT * FROM deployments WHERE app_id = ? AND id = ?", appId, id);
    return row && deploymentOf(row);
  }

  latestDeployment(appId: number): DeploymentRecord | undefined {
    const row = this.#db.get<Row>("SELECT * FROM deployments WHERE app_id = ? ORDER BY id DESC LIMIT 1", appId);
    return row && deploymentOf(row);
  }

  /** Names of the revisions that served, the latest first; one that served twice is in the list twice. */
  served(appId: number): string[] {
    return this.#db
      .all<{ revision: string }>(
        `SELECT d.revision FROM deployments d JOIN revisions r ON r.app_id = d.app_id AND r.name = d.revision
         WHERE d.app_id = ? AND d.state = 'succeeded' AND r.state = 'Ready' ORDER BY d.id DESC`,
        appId,
      )
      .map((row) => row.revision);
  }

  deploymentByKey(appId: number, key: string): DeploymentRecord | undefined {
    const row = this.#db.get<Row>("SELECT * FROM deployments WHERE app_id = ? AND idempotency_key = ?", appId, key);
    return row && deploymentOf(row);
  }

  /** Oldest first. */
  openDeployments(appId: number): DeploymentRecord[] {
    return this.#db
      .all<Row>("SELECT * FROM deployments WHERE app_id = ? AND state = 'open' ORDER BY id", appId)
      .map(deploymentOf);
  }

  closeDeployment(deployment: DeploymentRecord, state: "succeeded" | "failed"): void {
    this.#db.run(
      "UPDATE deployments SET state = ? WHERE app_id = ? AND id = ?",
      state,
      deployment.appId,
      deployment.id,
    );
  }

  /** Adds an event to a deployment's log; numbers have no gaps. */
  appendEvent(deployment: DeploymentRecord, event: NewEvent): DeploymentEvent {
    const { last } = this.#db.get<{ last: number }>(
      "SELECT COALESCE(MAX(seq), 0) AS last FROM events WHERE app_id = ? AND deployment = ?",
      ...[deployment.appId, deployment.id],
    ) as { last: number };
    const full = { v: 1, seq: last + 1, time: this.#now().toISOString(), ...event } as DeploymentEvent;
    this.#db.run(
      "INSERT INTO events (app_id, deployment, seq, body) VALUES (?, ?, ?, ?)",
      ...[deployment.appId, deployment.id, full.seq, JSON.stringify(full)],
    );
    return full;
  }

  /** The newest event of a deployment. */
  lastEvent(deployment: DeploymentRecord): DeploymentEvent | undefined {
    const row = this.#db.get<{ body: string }>(
      "SELECT body FROM events WHERE app_id = ? AND deployment = ? ORDER BY seq DESC LIMIT 1",
      ...[deployment.appId, deployment.id],
    );
    return row && (JSON.parse(row.body) as DeploymentEvent);
  }

  /** Events with a number above `after`, in order. */
  events(appId: number, deployment: number, after: number): DeploymentEvent[] {
    return this.#db
      .all<{ body: string }>(
        "SELECT body FROM events WHERE app_id = ? AND deployment = ? AND seq > ? ORDER BY seq",
        ...[appId, deployment, after],
      )
      .map((row) => JSON.parse(row.body) as DeploymentEvent);
  }
}

function appOf(row: Row): AppRecord {
  return {
    id: row["id"] as number,
    project: row["project"] as string,
    domain: row["domain"] as string,
    name: row["name"] as string,
    subdomain: row["subdomain"] as string,
    currentRevision: row["current_revision"] as string | null,
    stopped: row["stopped"] === 1,
    deleting: row["deleting"] === 1,
    createdAt: row["created_at"] as string,
    updatedAt: row["updated_at"] as string,
  };
}

function revisionOf(row: Row): RevisionRecord {
  return {
    appId: row["app_id"] as number,
    name: row["name"] as string,
    spec: JSON.parse(row["spec"] as string),
    image: row["image"] as string,
    digest: row["digest"] as string,
    secrets: JSON.parse(row["secrets"] as string),
    fingerprint: row["fingerprint"] as string,
    state: row["state"] as RevisionRecord["state"],
    createdAt: row["created_at"] as string,
  };
}

function deploymentOf(row: Row): DeploymentRecord {
  return {
    appId: row["app_id"] as number,
    id: row["id"] as number,
    revision: row["revision"] as string,
    unchanged: row["unchanged"] === 1,
    state: row["state"] as DeploymentRecord["state"],
    createdAt: row["created_at"] as string,
  };
}
