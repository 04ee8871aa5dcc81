/** What a case of a container stands on: an engine of its own on a real container engine, and the moves that cases are made of. */
import { request } from "node:http";
import { expect, onTestFinished } from "vitest";
import type { EngineApi } from "../../../src/container-engine/docker-api.ts";
import { Redacted } from "../../../src/core/redacted.ts";
import type { Condition, Engine, PinnedSecret, RunnableRevision } from "../../../src/engine/engine.ts";
import { imageTags } from "../../../src/engine/local/docker/image-loader.ts";
import { OciLayout } from "../../../src/oci/layout.ts";
import type { DockerGround } from "../contract/subjects/docker.ts";
import { call, collect, ref, revisionOf, temporaryDirectory, until } from "../helpers.ts";
import { createDockerEngine, type DockerEngineOptions, dockerOptions } from "./docker-engine.ts";
import { writeProgramImage } from "./images.ts";

type Details = NonNullable<Parameters<typeof revisionOf>[2]>;

/** A container as the engine lists it. */
export interface FoundContainer {
  Id: string;
  Image: string;
  ImageID: string;
  Labels: Record<string, string>;
}

/** One case's ground. */
export class ContainerGround {
  readonly ground: DockerGround;
  readonly api: EngineApi;
  readonly isPodman: boolean;
  /** The engine has a bridge: projects have networks. */
  readonly networks: boolean;
  readonly layout: OciLayout;
  /** Values by the secret's id. */
  readonly secrets = new Map<string, Buffer>();
  /** What the engine has logged since it was opened. */
  readonly messages: string[] = [];
  readonly options: DockerEngineOptions;
  #engine: Engine | undefined;

  constructor(ground: DockerGround, api: EngineApi, networks: boolean) {
    this.ground = ground;
    this.api = api;
    this.isPodman = api.isPodman;
    this.networks = networks;
    this.layout = new OciLayout(ground.layoutDir);
    this.options = {
      ...dockerOptions(temporaryDirectory(), ground.layoutDir, ground.env),
      readSecret: async (id) => new Redacted(this.secrets.get(id) ?? Buffer.alloc(0)),
      log: (message) => this.messages.push(message),
    };
  }

  /** The engine that was opened last. */
  get engine(): Engine {
    if (!this.#engine) throw new Error("open() comes first");
    return this.#engine;
  }

  /** Starts an engine that is closed after the test. */
  async open(changes: Partial<DockerEngineOptions> = {}): Promise<void> {
    this.messages.length = 0;
    const engine = await createDockerEngine({ ...this.options, ...changes });
    onTestFinished(() => engine.close());
    this.#engine = engine;
  }

  /** Closes the engine, and starts another one on its state. */
  async reopen(): Promise<void> {
    await this.engine.close();
    await this.open();
  }

  /**
   * A program of one file that serves on `$PORT`. Its answer is `body`, an expression, or the code of its error. `env` is the
   * image's own environment: without one, what is below the app layer is the same in all of them.
   */
  async program(
    body: string,
    details: Details = {},
    name = "web-00001",
    env: string[] = [],
  ): Promise<RunnableRevision> {
    const text = `import { createServer } from "node:http"; import fs from "node:fs"; import { spawn, execFileSync } from "node:child_process";
      const attempt = (run) => { try { return run() ?? "done"; } catch (error) { return error.code ?? error.message; } };
      createServer(async (req, res) => { try { res.end(String(await (${body}))); } catch (error) { res.end(error.code); } })
        .listen(process.env.PORT, process.env.HOST);`;
    const digest = await writeProgramImage(this.layout, this.ground.base, { "main.mjs": text }, { env });
    return revisionOf(name, digest, {
      ...details,
      spec: { kind: "args", args: ["node", "main.mjs"], ...details.spec },
    });
  }

  /** Wants the revision alone; gives its verdict. */
  async deploy(revision: RunnableRevision): Promise<Condition | undefined> {
    await this.engine.apply({ ref, revisions: [revision], traffic: revision.name });
    return (await collect(this.engine.observe(ref, revision.name, new AbortController().signal))).at(-1);
  }

  /** Opens an engine, serves the program, and gives its answer. */
  async answerOf(body: string, details: Details = {}): Promise<string> {
    await this.open();
    expect(await this.deploy(await this.program(body, details))).toMatchObject({ ready: "True" });
    return this.ask();
  }

  /** What the replica answers. */
  async ask(path = "/"): Promise<string> {
    return (await call(this.engine.lease(ref), path)).body;
  }

  /** Resolves when the replica has been started again and is ready. */
  async restarted(): Promise<void> {
    await until(() => {
      const [replica] = this.engine.replicas(ref);
      return replica && replica.restarts > 0 && replica.state === "Ready";
    });
  }

  /** A pin on the one version of a secret. */
  pin(id: string, envVar: string, mount: PinnedSecret["mount"]): PinnedSecret {
    return { key: "k", version: 1, id, envVar, mount };
  }

  /** Every container that the engine has. */
  containers(): Promise<FoundContainer[]> {
    return this.api.json("GET", "/containers/json", { query: { all: "1" } });
  }

  /** The container of the app's one replica. */
  async container(project = ref.project): Promise<FoundContainer> {
    const name = this.engine.replicas({ ...ref, project })[0]?.name;
    const found = (await this.containers()).find(
      ({ Labels }) => Labels["appctl.replica"] === name && Labels["appctl.project"] === project,
    );
    if (!found) throw new Error(`no container of ${name}`);
    return found;
  }

  /** Where the replica serves in its network; undefined when it is in the machine's own. */
  async addressInside(project = ref.project): Promise<string | undefined> {
    const { Id } = await this.container(project);
    const { NetworkSettings, Config } = await this.api.json<{
      NetworkSettings: { Networks: Record<string, { IPAddress: string }> };
      Config: { Env: string[] };
    }>("GET", `/containers/${Id}/json`);
    const [network] = Object.values(NetworkSettings.Networks);
    const port = Config.Env.find((variable) => variable.startsWith("PORT="))?.slice("PORT=".length);
    return network?.IPAddress ? `http://${network.IPAddress}:${port}/` : undefined;
  }

  /** Name of the platform in the engine. */
  async platform(): Promise<string> {
    return (await this.container()).Labels["appctl.platform"] ?? "";
  }

  /** Everything that the engine shows of the replica's container and its image. */
  async inspected(): Promise<{ container: object; image: object }> {
    const { Id, ImageID } = await this.container();
    return {
      container: await this.api.json("GET", `/containers/${Id}/json`),
      image: await this.api.json("GET", `/images/${ImageID}/json`),
    };
  }

  /** What the engine says when it is asked for a container's output. */
  keptOutput(id: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const path = `/v1.41/containers/${id}/logs?stdout=1&stderr=1`;
      request({ socketPath: this.api.socketPath, path, headers: { host: "engine" } }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (part) => {
          text += part;
        });
        answer.on("end", () => resolve(text)).on("error", reject);
      })
        .on("error", reject)
        .end();
    });
  }

  /** References of images that have `part` in them. */
  async tagsOf(part: string): Promise<string[]> {
    return (await imageTags(this.api)).filter((tag) => tag.includes(part));
  }

  /** Networks of a platform. */
  async networksOf(platform: string): Promise<{ Name: string }[]> {
    // Who asks Podman through Docker's API makes it forget that networks are isolated.
    const networks = this.api.hasLibpod
      ? (await this.api.json<{ name: string }[]>("GET", "/libpod/networks/json")).map(({ name }) => ({ Name: name }))
      : await this.api.json<{ Name: string }[]>("GET", "/networks");
    return networks.filter(({ Name }) => Name.startsWith(`${platform}-`));
  }
}
