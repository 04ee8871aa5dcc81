/** The hello app as people put it into a container without appctl: tsc, a Dockerfile that copies node_modules, Docker. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import type { World } from "../e2e/harness.ts";
import { withNpmsNode } from "../support/npm-node.ts";
import { firstSuccess } from "./hello-app.ts";
import { plainEnvironment, repository } from "./process-time.ts";

/** Packages of the app, at the versions that this project has itself. */
const PACKAGES = ["hono", "@hono/node-server"];

/** A project with its packages installed, and a `docker` that builds with BuildKit. */
export class DockerProject {
  readonly dir: string;
  readonly #docker: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(dir: string, docker: string, env: NodeJS.ProcessEnv) {
    this.dir = dir;
    this.#docker = docker;
    this.#env = env;
  }

  /** `base` is what its Dockerfile stands on, `socket` names the engine. Undefined when no `docker` here knows BuildKit. */
  static create(world: World, { base, dockerHost }: { base: string; dockerHost: string }): DockerProject | undefined {
    const env = { ...plainEnvironment(), DOCKER_HOST: dockerHost, DOCKER_BUILDKIT: "1" };
    const docker = buildKitClient(world, env);
    if (docker === undefined) return undefined;
    const dir = world.folder("docker-project", {
      "package.json": JSON.stringify({ type: "module", dependencies: Object.fromEntries(PACKAGES.map(versionOf)) }),
      "tsconfig.json": JSON.stringify({
        compilerOptions: {
          module: "nodenext",
          target: "es2023",
          outDir: "dist",
          rootDir: "src",
          strict: true,
          // They are no part of what the image copies.
          typeRoots: [join(repository, "node_modules/@types")],
          types: ["node"],
          skipLibCheck: true,
        },
        include: ["src"],
      }),
      Dockerfile: `FROM ${base}
WORKDIR /app
COPY package.json ./
COPY node_modules ./node_modules
COPY dist ./dist
CMD ["node", "dist/app.js"]
`,
      ".dockerignore": "src\ntsconfig.json\n",
    });
    mkdirSync(join(dir, "src"));
    installPackages(dir);
    return new DockerProject(dir, docker, env);
  }

  /** Writes the program; the text is its one line that changes. */
  write(text: string): void {
    writeFileSync(
      join(this.dir, "src/app.ts"),
      `import { serve } from "@hono/node-server";
import { Hono } from "hono";
const app = new Hono();
app.get("/", (c) => c.text(${JSON.stringify(text)}));
serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: "127.0.0.1" });
`,
    );
  }

  /** With the compiler of this project, or the one that lies in another `node_modules`. */
  tsc(nodeModules = join(repository, "node_modules")): void {
    run(process.execPath, [join(nodeModules, "typescript/bin/tsc"), "-p", "."], this.dir, this.#env);
  }

  build(tag: string): void {
    this.docker("build", "--quiet", "--tag", tag, ".");
  }

  push(tag: string): void {
    this.docker("push", "--quiet", tag);
  }

  /** Starts a container on the machine's own network, and waits for its first 200; gives its id. */
  async start(tag: string, port: number): Promise<string> {
    const id = this.docker("run", "--detach", "--network", "host", "--env", `PORT=${port}`, tag);
    let asked = 0;
    // Seldom, since it takes longer than a container needs to start.
    const isRunning = () =>
      ++asked % 200 !== 0 || this.docker("inspect", "--format", "{{.State.Running}}", id) === "true";
    await firstSuccess(port, isRunning);
    return id;
  }

  docker(...args: string[]): string {
    return run(this.#docker, args, this.dir, this.#env);
  }
}

/** `npm install` in a folder with a package.json, of that and of `packages`. */
export function installPackages(dir: string, packages: readonly string[] = []): void {
  // What `npm run` has put into the environment is about this project.
  const own = Object.entries(plainEnvironment()).filter(([name]) => !name.toLowerCase().startsWith("npm_"));
  const env = withNpmsNode(Object.fromEntries(own));
  run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...packages], dir, env);
}

function versionOf(name: string): [string, string] {
  const manifest = createRequire(join(repository, "package.json"))(
    join(repository, "node_modules", name, "package.json"),
  );
  return [name, (manifest as { version: string }).version];
}

/** A `docker` on the PATH that can build with BuildKit: some need a plugin for it that is not there. */
function buildKitClient(world: World, env: NodeJS.ProcessEnv): string | undefined {
  const dir = world.folder("buildkit", { Dockerfile: "FROM scratch\nCOPY Dockerfile /\n" });
  const clients = (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, "docker"));
  return clients.find((client) => spawnSync(client, ["build", "--quiet", dir], { env }).status === 0);
}

function run(program: string, args: string[], cwd: string, env: NodeJS.ProcessEnv): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, env, encoding: "utf8" });
  if (error) throw error;
  if (status !== 0) throw new Error(`${dirname(program)} ${args.join(" ")} ended with ${status}\n${stdout}${stderr}`);
  return stdout.trim();
}
