import type { AppRef, AppSpec } from "../../contract/types.ts";
import type { Engine } from "../../engine/engine.ts";
import type { Route } from "../../gateway/route.ts";
import type { Addresses } from "../addresses.ts";
import type { AppRecord, AppStore } from "../store/app-store.ts";

/** What the route table is read from. */
export interface RouteSources {
  store: AppStore;
  engine: Engine;
  addresses(): Addresses;
}

/** Time-out of an app whose revision is not known yet, in milliseconds. */
const DEFAULT_TIMEOUT_MS = 300_000;

/**
 * Finds the route of a host name: in memory, since it is asked for each request; an app's entry is read again after the
 * app has changed. An app has a route before its first revision was ever ready, so that the proof of live of that revision
 * goes the way of any request.
 */
export function routeTable({ store, engine, addresses }: RouteSources): (host: string) => Route | undefined {
  const routes = new Map<string, AppRoute>();
  store.onChange((appId) => {
    for (const [subdomain, route] of routes) if (route.appId === appId) routes.delete(subdomain);
  });
  return (host) => {
    const subdomain = addresses().subdomainOf(host);
    if (subdomain === undefined) return undefined;
    const known = routes.get(subdomain);
    if (known) return known;
    const app = store.bySubdomain(subdomain);
    if (!app || app.deleting) return undefined;
    const route = new AppRoute(app, store, engine);
    routes.set(subdomain, route);
    return route;
  };
}

class AppRoute implements Route {
  readonly appId: number;
  readonly app: string;
  readonly #stopped: boolean;
  readonly #ref: AppRef;
  readonly #store: AppStore;
  readonly #engine: Engine;
  readonly #specs = new Map<string, AppSpec>();

  constructor(app: AppRecord, store: AppStore, engine: Engine) {
    this.appId = app.id;
    this.app = app.name;
    this.#stopped = app.stopped;
    this.#ref = { project: app.project, domain: app.domain, name: app.name };
    this.#store = store;
    this.#engine = engine;
  }

  /** A stopped app that is being started again is no longer stopped once a revision gets its requests. */
  get stopped(): boolean {
    return this.#stopped && this.#engine.serving(this.#ref) === null;
  }

  /** While no revision gets requests there is nothing behind the gateway to protect: the answer is 503 for everybody. */
  get requiresAuth(): boolean {
    return this.#serving()?.requiresAuth ?? false;
  }

  get requestTimeoutMs(): number {
    const spec = this.#serving();
    return spec ? spec.requestTimeout * 1000 : DEFAULT_TIMEOUT_MS;
  }

  lease() {
    return this.#engine.lease(this.#ref);
  }

  /** The spec of the revision that gets the traffic now: its own rules hold, not those of the one that is to come. */
  #serving(): AppSpec | undefined {
    const name = this.#engine.serving(this.#ref);
    if (name === null) return undefined;
    let spec = this.#specs.get(name);
    if (!spec) {
      spec = this.#store.revision(this.appId, name)?.spec;
      if (spec) this.#specs.set(name, spec);
    }
    return spec;
  }
}
