/**
 * Networks of the engine: one for each project. Docker's containers do not reach each other in it; Podman has no way to keep
 * the containers of one network apart.
 */

import { type EngineApi, EngineApiError } from "../../../core/engine-api.ts";
import { Label } from "./container-body.ts";

/** A project's network. `gateway` is this machine's address in it, when the engine says one. */
export interface ProjectNetwork {
  name: string;
  gateway: string | undefined;
}

interface InspectedNetwork {
  Name: string;
  Driver: string;
  IPAM?: { Config?: { Gateway?: string }[] | null };
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

  /** Whether the engine can make them: one that was started without a bridge can not. */
  static async possible(api: EngineApi, patienceMs?: number): Promise<boolean> {
    const networks = await api.soon<InspectedNetwork[]>("/networks", { patienceMs });
    return networks.some(({ Driver }) => Driver === "bridge");
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

  /** Whether an error says that a project's network is gone, as after `docker network prune`: it is made anew when asked for. */
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
    for (const { Name } of await this.#api.json<InspectedNetwork[]>("GET", "/networks", { query })) {
      await this.#api.json("DELETE", `/networks/${Name}`).catch((error: unknown) => {
        if (!(error instanceof EngineApiError && error.status < 500)) throw error;
      });
    }
  }

  async #make(project: string): Promise<ProjectNetwork> {
    const name = this.#nameOf(project);
    try {
      await this.#api.json("POST", "/networks/create", {
        body: {
          Name: name,
          Driver: "bridge",
          CheckDuplicate: true,
          Labels: { [Label.platform]: this.#platform, [Label.project]: project },
          // Podman takes no options that it does not know.
          ...(this.#api.isPodman ? {} : { Options: { "com.docker.network.bridge.enable_icc": "false" } }),
        },
      });
    } catch (error) {
      if (!(error instanceof EngineApiError && error.status === 409)) throw error;
    }
    const { IPAM } = await this.#api.json<InspectedNetwork>("GET", `/networks/${name}`);
    return { name, gateway: IPAM?.Config?.find(({ Gateway }) => Gateway)?.Gateway };
  }

  #nameOf(project: string): string {
    return `${this.#platform}-${project}`;
  }
}
