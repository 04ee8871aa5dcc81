import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { Trace } from "../../../src/core/trace.ts";
import { buildImage, loadFile } from "../../../src/deploy/deploy.ts";
import { writeImage } from "../../../src/image/environment-image.ts";
import { OciLayout } from "../../../src/oci/layout.ts";
import { EPOCH } from "../../../src/oci/model.ts";
import { Repository } from "../../../src/oci/registry/repository.ts";
import { hostTarget, ociTarget } from "../../../src/packages/npm-target.ts";
import { freePort, World } from "../../e2e/harness.ts";
import { writeBaseLayer } from "../../engine/docker/base-layer.ts";
import { noDockerd, startDockerd } from "../../engine/docker/dockerd.ts";
import { pushImage } from "../../oci/registry/support.ts";
import { type DockerRegistry, hasDockerRegistry, startDockerRegistry } from "../../support/docker-registry.ts";
import { DockerProject, installPackages } from "../docker-project.ts";
import type { Figure, Measured, Missing } from "../figure.ts";
import { HelloApp } from "../hello-app.ts";
import { cli, nodeTime } from "../process-time.ts";
import { alternate, compare, median } from "../statistics.ts";

/** Packages of about 40 MB, of many small files and of few large ones. */
const LARGE = ["typescript@5.9.3", "date-fns@4.1.0"];

const PEER = "BuildKit";

/** Images: made, pushed, and run in containers, beside Docker on the same engine, registry and base. */
export const images: Figure = {
  name: "images",
  rows: {
    unchanged: {
      what: "an unchanged image: `appctl build`",
      unit: "ms",
      target: { of: "value", atMost: 150 },
      missed: "the file is bundled and described each time, since only that shows that nothing has changed",
    },
    packages: {
      what: "a layer of packages of 40 MB, from npm's cache: `appctl build`",
      against: "`tar` of the same tree through `gzip -6`",
      unit: "ms",
      target: { of: "ratio", atMost: 1.5 },
      missed: "the command's own start, and reading, checking and unpacking the tarballs, come before the packing",
    },
    pushAlone: {
      what: "one line changed, built and pushed alone: from the bundle to the image in the registry, in a process that runs already",
      against: `\`docker build\` (${PEER}) and \`docker push\`, whose daemon runs already`,
      unit: "ms",
      target: { of: "ratio", atMost: 0.25 },
      missed: "compressing, and the registry's own answers, are most of it",
    },
    push: {
      what: "one line changed, built and pushed, the command as a whole: `appctl build --push`",
      against: `\`docker build\` (${PEER}) and \`docker push\``,
      unit: "ms",
      target: { of: "ratio", atMost: 0.25 },
      missed:
        "the command's own start and imports, bundling and describing are most of it, and Docker's daemon is warm",
    },
    live: {
      what: "one line changed, live in a container: `appctl deploy apps`, to the proof at the public address",
      against: `\`tsc\` of TypeScript 7, \`docker build\` (${PEER}) and \`docker run\`, to the first 200`,
      unit: "ms",
      target: { of: "ratio", atMost: 0.35 },
      missed:
        "to start the container takes most of it on both sides, appctl proves that it answers in public, and this compiler is a native program",
    },
    liveBeforeNative: {
      what: "the same",
      against: `\`tsc\` of TypeScript 5.9, \`docker build\` (${PEER}) and \`docker run\`, to the first 200`,
      unit: "ms",
      target: { of: "ratio", atMost: 0.35 },
      missed: "to start the container takes most of it on both sides, and appctl proves that it answers in public",
    },
    size: {
      what: "the image on top of its base, compressed",
      against: "a Dockerfile's that copies node_modules",
      unit: "kB",
      target: { of: "ratio", atMost: 0.2 },
      missed: "the app has much of its own beside its packages",
    },
  },
  async measure({ rounds }) {
    const world = await World.create();
    try {
      const env = { ...world.env, APPCTL_BASE_IMAGE: "scratch" };
      const app = new HelloApp(world);
      app.write("Hello!");
      const build = () => nodeTime([cli, "build", "app.ts", "hello"], { cwd: app.dir, env });
      await build();
      const times: number[] = [];
      for (let round = 0; round < rounds(25); round++) times.push(await build());
      const own = { unchanged: { value: median(times) }, packages: await packages(world, rounds(7)) };
      return { rows: { ...own, ...(await besideDocker(world, app, rounds)) } };
    } finally {
      await world.close();
    }
  },
};

/** The same packages in an image that is new each time, and the same tree through tar and gzip. */
async function packages(world: World, rounds: number): Promise<Measured> {
  const dir = world.folder("large");
  const tree = world.folder("tree", { "package.json": "{}" });
  installPackages(tree, LARGE);
  let version = 0;
  const build = () => {
    world.folder("large", {
      "app.ts": `import { App, ImageSpec } from "appctl";
export const large = new App({ name: "large", frameworkApp: { fetch: () => new Response("") },
  containerImage: new ImageSpec({ packages: ${JSON.stringify(LARGE)}, env: { VERSION: "${++version}" } }) });
`,
    });
    return nodeTime([cli, "build", "app.ts", "large"], {
      cwd: dir,
      env: { ...world.env, APPCTL_BASE_IMAGE: "scratch" },
    });
  };
  const compress = async () => {
    const start = performance.now();
    const { status } = spawnSync("sh", ["-c", "tar -C node_modules -c . | gzip -6 > ../tree.tar.gz"], { cwd: tree });
    if (status !== 0) throw new Error("tar or gzip failed");
    return performance.now() - start;
  };
  return compare(await alternate(rounds, build, compress));
}

type Beside = Record<"pushAlone" | "push" | "live" | "liveBeforeNative" | "size", Measured | Missing>;

async function besideDocker(world: World, app: HelloApp, rounds: (full: number) => number): Promise<Beside> {
  const missing = noDockerd() ?? (hasDockerRegistry() ? undefined : "docker-registry is not installed");
  if (missing !== undefined) return none(missing);
  const dockerd = await startDockerd();
  const registry = await startDockerRegistry({ dir: world.folder("registry") });
  try {
    const base = await putBase(world, registry);
    const project = DockerProject.create(world, { base, dockerHost: `unix://${dockerd.socketPath}` });
    if (!project) return none("no docker client here builds with BuildKit");
    const env = { ...world.env, ...dockerd.env, APPCTL_BASE_IMAGE: base, APPCTL_RUNTIME: "docker" };
    const compilers = join(world.home, "tree", "node_modules");
    return await measured({ app, project, registry, env, compilers, rounds });
  } finally {
    await world.run(["platform", "stop"]);
    await registry.close();
    await dockerd.stop();
  }
}

const none = (missing: string): Beside => ({
  pushAlone: { missing },
  push: { missing },
  live: { missing },
  liveBeforeNative: { missing },
  size: { missing },
});

async function measured(at: {
  app: HelloApp;
  project: DockerProject;
  registry: DockerRegistry;
  env: NodeJS.ProcessEnv;
  /** A `node_modules` with TypeScript 5.9. */
  compilers: string;
  rounds(full: number): number;
}): Promise<Beside> {
  const { app, project, registry, env, compilers, rounds } = at;
  let version = 0;
  const tag = `${registry.host}/peer/hello:1`;
  const pushByDocker = async () => {
    // What tsc makes of the file is not part of this one.
    project.write(`Hello ${++version}!`);
    project.tsc();
    const start = performance.now();
    project.build(tag);
    project.push(tag);
    return performance.now() - start;
  };
  const alone = async () => {
    app.write(`Hello ${++version}!`);
    return pushBundle(app.dir, env, `${registry.host}/alone`);
  };
  // As often as a process does it that is not new.
  for (let before = 0; before < rounds(60); before++) await alone();
  const pushAlone = await alternate(rounds(15), alone, pushByDocker);
  const command = () => {
    app.write(`Hello ${++version}!`);
    const args = ["build", "app.ts", "hello", "--push", "--registry", `${registry.host}/ours`];
    return nodeTime([cli, ...args], { cwd: app.dir, env });
  };
  const push = await alternate(rounds(15), command, pushByDocker);
  const size = compare({
    ours: [await sizeOf(registry, "ours/hello-image")],
    floor: [await sizeOf(registry, "peer/hello")],
  });
  const deploy = () => {
    app.write(`Live ${++version}!`);
    return nodeTime([cli, "deploy", "apps", "app.ts", "hello"], { cwd: app.dir, env });
  };
  const byDocker = (compiler?: string) => async () => {
    project.write(`Live ${++version}!`);
    const port = await freePort();
    const start = performance.now();
    project.tsc(compiler);
    project.build("live");
    const id = await project.start("live", port);
    const time = performance.now() - start;
    project.docker("rm", "--force", id);
    return time;
  };
  const live = await alternate(rounds(11), deploy, byDocker());
  const liveBeforeNative = await alternate(rounds(7), deploy, byDocker(compilers));
  return {
    pushAlone: compare(pushAlone),
    push: compare(push),
    live: compare(live),
    liveBeforeNative: compare(liveBeforeNative),
    size,
  };
}

/** Milliseconds from a file that has been bundled and described to its image in a registry, with its bill of materials. */
async function pushBundle(cwd: string, env: NodeJS.ProcessEnv, registry: string): Promise<number> {
  const what = {
    ...{ file: "app.ts", cwd, env, cacheDir: join(cwd, ".cache"), baseImage: env["APPCTL_BASE_IMAGE"] },
    ...{ signal: new AbortController().signal, trace: new Trace() },
  };
  const loaded = await loadFile(what);
  await loaded.tidied;
  const start = performance.now();
  const building = buildImage(loaded, { ...what, name: "hello", pushTo: { flag: registry }, push: true });
  let step = await building.next();
  while (!step.done) step = await building.next();
  const time = performance.now() - start;
  if (!step.value.pushed) throw new Error("it was not pushed");
  return time;
}

/** kB of the layers of the newest image of a repository, without the first, which is the base's. */
async function sizeOf(registry: DockerRegistry, repository: string): Promise<number> {
  const at = repositoryOf(registry, repository);
  try {
    const listed = await fetch(`http://${registry.host}/v2/${repository}/tags/list`);
    const { tags } = (await listed.json()) as { tags: string[] };
    // Of ours the environment image is there as well, which has no app in it.
    const tag = tags.find((name) => name === "1" || /-[0-9a-f]{12}$/.test(name)) ?? "";
    const { layers } = JSON.parse((await at.manifest(tag)).bytes.toString("utf8")) as { layers: { size: number }[] };
    return layers.slice(1).reduce((sum, { size }) => sum + size, 0) / 1000;
  } finally {
    await at.close();
  }
}

/** A base with Node in the registry, made of this machine's own: nothing has to be downloaded. */
async function putBase(world: World, registry: DockerRegistry): Promise<string> {
  const layout = new OciLayout(world.folder("bases"));
  const layer = await writeBaseLayer(layout);
  const config = {
    created: EPOCH,
    ...ociTarget(hostTarget()),
    config: { Env: ["PATH=/bin"], WorkingDir: "/" },
    rootfs: { type: "layers" as const, diff_ids: [layer.diffId] },
    history: [{ created: EPOCH, created_by: "the base" }],
  };
  const { descriptor } = await writeImage(layout, config, [layer.descriptor]);
  const repository = repositoryOf(registry, "bases/node");
  await pushImage({ repository, layout, image: descriptor, tag: "1" });
  await repository.close();
  return `${registry.host}/bases/node:1`;
}

function repositoryOf({ host }: DockerRegistry, repository: string): Repository {
  const { signal } = new AbortController();
  return new Repository({ name: { host, plain: true, repository }, access: "push", env: {}, signal });
}
