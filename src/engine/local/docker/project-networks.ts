/**
 * Networks of the engine: one for each project. Docker's containers do not reach each other in it; Podman has no way to keep
 * the containers of one network apart.
 */
import { type EngineApi, EngineApiError } from "../../../container-engine/docker-api.ts";
import { Label } from "./container-body.ts";

/** A project's network. `gateway` is this machine's address in it, when the engine says one. */
export interface ProjectNetwork {
  name: string;
  gateway: string | undefined;
}

interface InspectedNetwork {
  Name: string;
  IPAM?: { Config?: { Gateway?: string }[] | null };
}

/** The same in Podman's own API. */
interface LibpodNetwork {
  name: string;
  subnets?: { gateway?: string }[] | null;
  options?: Record<string, string> | null;
}

/** Makes networks and removes them. */
export class ProjectNetworks {
  readonly #api: EngineApi;
  readonly #platform: string;
  readonly #made = new Map<string, Promise<ProjectNetwork>>();

  constructor(api: EngineApi, platform: string) {
    this.#api = api;
    this.#platform = platform;
  }

  /** The network of a project; it is made when it is first asked for. */
  of(project: string): Promise<ProjectNetwork> {
    let made = this.#made.get(project);
    if (!made) {
      made = this.#make(project);
      this.#made.set(project, made);
      made.catch(() => this.#made.delete(project));
    }
    return made;
  }

  /** Whether an error says that a project's network is gone, as after `docker network prune`: it is made again when asked for. */
  forgetMissing(project: string, error: unknown): boolean {
    const isMissing =
      error instanceof EngineApiError &&
      error.message.includes(this.#nameOf(project)) &&
      /not found|no such network/i.test(error.message);
    if (isMissing) this.#made.delete(project);
    return isMissing;
  }

  /** Removes every network of this platform. One that a container still uses stays. */
  async removeAll(): Promise<void> {
    this.#made.clear();
    const query = { filters: { label: [`${Label.platform}=${this.#platform}`] } };
    const names = this.#api.hasLibpod
      ? (await this.#api.json<LibpodNetwork[]>("GET", "/libpod/networks/json", { query })).map(({ name }) => name)
      : (await this.#api.json<InspectedNetwork[]>("GET", "/networks", { query })).map(({ Name }) => Name);
    for (const name of names) {
      await this.#api.json("DELETE", `/networks/${name}`).catch((error: unknown) => {
        if (!(error instanceof EngineApiError && error.status < 500)) throw error;
      });
    }
  }

  async #make(project: string): Promise<ProjectNetwork> {
    const name = this.#nameOf(project);
    const labels = { [Label.platform]: this.#platform, [Label.project]: project };
    const gateway = await (this.#api.hasLibpod ? this.#makeIsolated(name, labels) : this.#makeAsDocker(name, labels));
    return { name, gateway };
  }

  async #makeAsDocker(name: string, labels: Record<string, string>): Promise<string | undefined> {
    // Podman takes no options that it does not know.
    const Options = this.#api.isPodman ? {} : { "com.docker.network.bridge.enable_icc": "false" };
    const body = { Name: name, Driver: "bridge", CheckDuplicate: true, Labels: labels, Options };
    await this.#api.json("POST", "/networks/create", { body }).catch(unlessThere);
    const { IPAM } = await this.#api.json<InspectedNetwork>("GET", `/networks/${name}`);
    return IPAM?.Config?.find(({ Gateway }) => Gateway)?.Gateway;
  }

  /**
   * By Podman's own API: with netavark, its usual backend, networks reach each other unless they say that they are isolated.
   * Docker's API has no word for that, and who looks at networks through it makes Podman forget it (seen with 4.3).
   */
  async #makeIsolated(name: string, labels: Record<string, string>): Promise<string | undefined> {
    const body = { name, driver: "bridge", labels, dns_enabled: true, options: { isolate: "true" } };
    await this.#api.json("POST", "/libpod/networks/create", { body }).catch(unlessThere);
    const { subnets, options } = await this.#api.json<LibpodNetwork>("GET", `/libpod/networks/${name}/json`);
    // One of an earlier platform that could not be removed, since somebody else's container is in it.
    if (options?.["isolate"] === undefined)
      throw new Error(`the network ${name} is not isolated: remove it (podman network rm --force ${name})`);
    return subnets?.find(({ gateway }) => gateway)?.gateway;
  }

  #nameOf(project: string): string {
    return `${this.#platform}-${project}`;
  }
}

function unlessThere(error: unknown): void {
  if (!(error instanceof EngineApiError && error.status === 409)) throw error;
}
