import { IDEMPOTENCY_KEY, LIMITS } from "../../contract/limits.ts";
import * as schemas from "../../contract/schemas.ts";
import type { AppRef, AppStatus, Deployment, LogLine, ProjectList, Revision } from "../../contract/types.ts";
import { notFound, ProblemError } from "../problem.ts";
import type { AppRecord, DeploymentRecord } from "../store/app-store.ts";
import { type ApiRequest, numberIn, placeOf, readBody, refOf, type Services } from "./context.ts";

/** Every project that has something in it. */
export function listProjects({ services }: ApiRequest): ProjectList {
  const domains = Map.groupBy(services.store.places(), ({ project }) => project);
  return { projects: [...domains].map(([name, places]) => ({ name, domains: places.map(({ domain }) => domain) })) };
}

/** Every app of a project and domain. */
export function listApps(request: ApiRequest) {
  const { store } = request.services;
  const apps = store.list(placeOf(request)).filter((app) => !app.deleting);
  return { apps: apps.map((app) => appStatus(request.services, app)) };
}

/** One app. */
export function getApp(request: ApiRequest): AppStatus {
  return appStatus(request.services, existing(request.services, refOf(request)));
}

/** Problems of a deploy, found before anything is built. */
export async function checkApp(request: ApiRequest) {
  const { engine, secrets, addresses } = request.services;
  const { spec } = await readBody(request, schemas.CheckRequest);
  sameName(refOf(request), spec.name);
  const { missing, unfit } = secrets.pin(placeOf(request), spec.secrets);
  const { store } = request.services;
  const holder = spec.subdomain === undefined ? undefined : store.bySubdomain(spec.subdomain);
  const taken = holder && holder.id !== store.find(refOf(request))?.id;
  const { needsBase, platform } = engine.facts();
  return {
    faults: [
      ...engine.check(spec),
      ...(taken ? [{ path: "subdomain", message: `"${spec.subdomain}" belongs to the app ${holder.name}` }] : []),
      ...unfit.map((message) => ({ path: "secrets", message })),
    ],
    missingSecrets: missing,
    warnings: engine.warnings(spec),
    registry: addresses.registry,
    needsBase,
    platform,
  };
}

/** Accepts a deploy. */
export async function applyApp(request: ApiRequest): Promise<Response> {
  const { engine, deployer } = request.services;
  const ref = refOf(request);
  const { spec, image } = await readBody(request, schemas.ApplyRequest);
  sameName(ref, spec.name);
  const faults = engine.check(spec);
  if (faults.length > 0) {
    throw new ProblemError("NOT_HONOURED", faults.map((f) => `${f.path}: ${f.message}`).join("; "), { faults });
  }
  const key = request.request.headers.get("idempotency-key") ?? undefined;
  if (key !== undefined && !IDEMPOTENCY_KEY.test(key)) {
    throw new ProblemError(
      "INVALID_INPUT",
      `idempotency-key: must be 1 to ${LIMITS.idempotencyKeyCharacters.value} visible ASCII characters`,
    );
  }
  const deployment = await deployer.accept(ref, spec, image, key);
  return Response.json(deploymentView(request.services, ref, deployment), { status: 202 });
}

/** Deletes an app with everything that belongs to it but its secrets and images. */
export async function deleteApp(request: ApiRequest) {
  await request.services.deployer.delete(refOf(request));
  return {};
}

/** Stops an app: its replicas end, its address answers 503, everything else is kept. */
export async function stopApp(request: ApiRequest): Promise<AppStatus> {
  const ref = refOf(request);
  await request.services.deployer.stop(ref);
  const { engine } = request.services;
  const deadline = performance.now() + 60_000;
  while (engine.replicas(ref).length > 0 && performance.now() < deadline && !request.request.signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return getApp(request);
}

/** Starts a stopped app. */
export function startApp(request: ApiRequest): Response {
  const ref = refOf(request);
  const deployment = request.services.deployer.start(ref);
  return Response.json(deploymentView(request.services, ref, deployment), { status: 202 });
}

/** Moves traffic to an earlier revision. */
export async function setTraffic(request: ApiRequest): Promise<Response> {
  const ref = refOf(request);
  const { revision } = await readBody(request, schemas.TrafficRequest);
  const deployment = request.services.deployer.traffic(ref, revision);
  return Response.json(deploymentView(request.services, ref, deployment), { status: 202 });
}

/** An app's revisions, newest first. */
export function listRevisions(request: ApiRequest): { revisions: Revision[] } {
  const { store } = request.services;
  const app = existing(request.services, refOf(request));
  const revisions = store.revisions(app.id).map((revision) => ({
    name: revision.name,
    image: revision.image,
    digest: revision.digest,
    state: revision.state,
    active: revision.name === app.currentRevision && !app.stopped,
    createdAt: revision.createdAt,
    secrets: revision.secrets.map(({ key, version }) => ({ key, version })),
  }));
  return { revisions };
}

/** Events of a deployment after a number; waits for the first when there are none yet. */
export async function deploymentEvents(request: ApiRequest) {
  const { store, log, deployer } = request.services;
  const ref = refOf(request);
  const app = existing(request.services, ref);
  const { deployment: id } = request.params;
  const deployment =
    id === undefined
      ? store.latestDeployment(app.id)
      : /^\d{1,9}$/.test(id)
        ? store.deployment(app.id, Number(id))
        : undefined;
  if (!deployment)
    throw notFound(id === undefined ? `a deployment of app ${app.name}` : `deployment ${id} of app ${app.name}`);
  const after = numberIn(request.query, "after", 0, Number.MAX_SAFE_INTEGER);
  const wait = numberIn(request.query, "wait", 0, LIMITS.eventWaitSeconds.value);
  const waitMs = deployer.unwritten(app.id) ? 0 : wait * 1000;
  const events = await log.read(deployment, after, waitMs, request.request.signal);
  const unwritten = deployer.unwritten(app.id);
  // A waiting client gets the reason for the delay. The events follow once they can be written.
  if (events.length === 0 && unwritten)
    throw new ProblemError({ code: unwritten.code, status: 503 }, unwritten.message);
  const now = store.deployment(app.id, deployment.id);
  if (!now) throw notFound(`app ${app.name}`);
  return { deployment: deploymentView(request.services, ref, now), events, done: now.state !== "open" };
}

/** Lines of an app's output as JSON lines; with `follow=true`, until the client goes. */
export function appLogs(request: ApiRequest): Response {
  const { engine } = request.services;
  const ref = refOf(request);
  existing(request.services, ref);
  const { query } = request;
  const since = query.get("since");
  const sinceMs = since === null ? undefined : Date.parse(since);
  if (sinceMs !== undefined && Number.isNaN(sinceMs)) {
    throw new ProblemError("INVALID_INPUT", "since: must be an ISO 8601 time");
  }
  const aborter = new AbortController();
  const lines = engine.logs(ref, {
    ...(query.has("tail") ? { tail: numberIn(query, "tail", 0, 1_000_000) } : {}),
    ...(sinceMs === undefined ? {} : { since: sinceMs }),
    follow: query.get("follow") === "true",
    signal: AbortSignal.any([request.request.signal, aborter.signal]),
  });
  return new Response(
    jsonLines(lines, () => aborter.abort()),
    { headers: { "content-type": "application/x-ndjson" } },
  );
}

function jsonLines(lines: AsyncIterable<LogLine>, onCancel: () => void): ReadableStream<Uint8Array> {
  const iterator = lines[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
    },
    cancel() {
      onCancel();
      void iterator.return?.();
    },
  });
}

function existing({ store }: Services, ref: AppRef): AppRecord {
  const app = store.find(ref);
  if (!app || app.deleting) {
    throw notFound(`app ${ref.name} in project ${ref.project} and domain ${ref.domain}`);
  }
  return app;
}

function sameName(ref: AppRef, name: string): void {
  if (ref.name !== name) {
    throw new ProblemError("INVALID_INPUT", `spec.name: is "${name}", but the path says "${ref.name}"`, {
      faults: [{ path: "spec.name", message: `is "${name}", but the path says "${ref.name}"` }],
    });
  }
}

function deploymentView({ store, addresses }: Services, ref: AppRef, deployment: DeploymentRecord): Deployment {
  const app = store.byId(deployment.appId) as AppRecord;
  return {
    id: deployment.id,
    project: ref.project,
    domain: ref.domain,
    app: ref.name,
    revision: deployment.revision,
    unchanged: deployment.unchanged,
    consoleUrl: addresses.console(ref),
    endpoint: addresses.endpoint(app.subdomain),
  };
}

/** An app as the API and the console show it. */
export function appStatus({ store, engine, addresses, deployer }: Services, app: AppRecord): AppStatus {
  const revision = app.currentRevision === null ? undefined : store.revision(app.id, app.currentRevision);
  const latest = store.latestDeployment(app.id);
  const shown = revision ?? (latest && store.revision(app.id, latest.revision));
  const replicas = engine.replicas(app);
  return {
    project: app.project,
    domain: app.domain,
    name: app.name,
    ...wordFor(deployer, app, latest, replicas),
    revision: revision?.name ?? null,
    image: shown?.image ?? null,
    digest: shown?.digest ?? null,
    endpoint: addresses.endpoint(app.subdomain),
    consoleUrl: addresses.console(app),
    requiresAuth: shown?.spec.requiresAuth ?? true,
    description: shown?.spec.description ?? null,
    type: shown?.spec.type ?? null,
    links: shown?.spec.links ?? [],
    replicas,
    deployment: latest?.id ?? null,
    createdAt: app.createdAt,
    updatedAt: app.updatedAt,
  };
}

function wordFor(
  deployer: Services["deployer"],
  app: AppRecord,
  latest: DeploymentRecord | undefined,
  replicas: AppStatus["replicas"],
): Pick<AppStatus, "status" | "message"> {
  const failed = latest?.state === "failed" ? `the last deploy (revision ${latest.revision}) failed` : "";
  if (latest?.state === "open" && !latest.unchanged)
    return { status: "Deploying", message: `revision ${latest.revision}` };
  if (app.currentRevision === null) return { status: "Failed", message: failed || "no revision was ever ready" };
  if (app.stopped) return { status: "Stopped", message: failed };
  const fault = deployer.fault(app.id);
  if (fault !== undefined) return { status: "Failed", message: fault };
  const serving = replicas.filter((replica) => replica.revision === app.currentRevision);
  if (serving.some((replica) => replica.state === "Ready")) return { status: "Running", message: failed };
  const waiting = serving.find((replica) => replica.state === "BackOff");
  if (waiting) {
    const times = waiting.restarts === 1 ? "once" : `${waiting.restarts} times`;
    return { status: "Crashing", message: `restarted ${times}; last exit: ${waiting.lastExit ?? "unknown"}` };
  }
  const restarting = serving.find((replica) => replica.restarts > 0);
  return restarting
    ? { status: "Crashing", message: `restarting; last exit: ${restarting.lastExit ?? "unknown"}` }
    : { status: "Deploying", message: "starting" };
}
