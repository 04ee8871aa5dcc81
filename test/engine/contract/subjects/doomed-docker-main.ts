/** A platform on the runtime `docker` in a process of its own that serves what its first argument says, and waits to be killed. */
import { createDockerEngine, dockerOptions } from "../../docker/docker-engine.ts";
import { serveUntilKilled } from "./serve-until-killed.ts";

const { base, layout, env, wanted } = JSON.parse(process.argv[2] ?? "");
await serveUntilKilled(await createDockerEngine(dockerOptions(base, layout, env)), wanted);
