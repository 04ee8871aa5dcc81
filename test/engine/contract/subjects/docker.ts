/** The engine `local` with the runtime `docker`, on a real engine: with programs that listen on $PORT and with framework apps. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { Redacted } from "../../../../src/core/redacted.ts";
import { OciLayout } from "../../../../src/oci/layout.ts";
import type { BaseLayer } from "../../docker/base-layer.ts";
import { createDockerEngine, dockerOptions } from "../../docker/docker-engine.ts";
import { writeProgramImage } from "../../docker/images.ts";
import { builtShim, revisionOf, temporaryDirectory } from "../../helpers.ts";
import type { Stage, Subject } from "../subject.ts";
import { builtPrograms, startDoomed } from "./process.ts";

type Kind = "args" | "framework";

/** What the cases of one test file share. */
export interface DockerGround {
  /** Environment that names the engine's socket. */
  env: NodeJS.ProcessEnv;
  layoutDir: string;
  base: BaseLayer;
}

/** The subject for one kind of app. The ground is asked for by each case, so that it can be made before the first. */
export function dockerSubject(name: string, kind: Kind, ground: () => DockerGround): Subject {
  return { name: `local, ${name}, ${kind}`, exceptions: {}, stage: () => stageOf(kind, ground()) };
}

async function stageOf(kind: Kind, { env, layoutDir, base: baseLayer }: DockerGround): Promise<Stage> {
  const base = temporaryDirectory();
  const built = await builtPrograms();
  const layout = new OciLayout(layoutDir);
  const secrets = new Map<string, Buffer>();
  const options = dockerOptions(base, layoutDir, env);
  options.readSecret = async (id, version) => {
    const value = secrets.get(`${id}@${version}`);
    if (!value) throw new Error(`no secret ${id} of version ${version}`);
    return new Redacted(value);
  };
  options.log = () => {};
  mkdirSync(options.stateDir, { mode: 0o700 });
  return {
    async open({ drainMs } = {}) {
      const engine = await createDockerEngine({ ...options, ...(drainMs === undefined ? {} : { drainMs }) });
      onTestFinished(() => engine.close());
      return engine;
    },
    async revision(name, behaviour, { entrypoint, ...details }) {
      const files = { "behaviour.json": JSON.stringify(behaviour) };
      if ((details.spec?.kind ?? kind) === "framework") {
        const digest = await writeProgramImage(layout, baseLayer, {
          ...files,
          "app.json": JSON.stringify({ apps: { web: { secrets: [] } } }),
          "serve.mjs": readFileSync(await builtShim()),
          "app.mjs": readFileSync(join(built, "framework-app.mjs")),
        });
        return revisionOf(name, digest, details);
      }
      const program = { ...files, "main.mjs": readFileSync(join(built, "process-main.mjs")) };
      const digest = await writeProgramImage(layout, baseLayer, program, { entrypoint });
      return revisionOf(name, digest, { ...details, spec: { kind, args: ["node", "main.mjs"], ...details.spec } });
    },
    secret(id, version, value) {
      if (value) secrets.set(`${id}@${version}`, value);
      else secrets.delete(`${id}@${version}`);
    },
    doomedPlatform: (wanted) =>
      startDoomed(join(built, "doomed-docker-main.mjs"), { base, layout: layoutDir, env, wanted }),
  };
}
