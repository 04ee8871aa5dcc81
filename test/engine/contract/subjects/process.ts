/**
 * The engine `local` with the runtime `process`: with programs that listen on $PORT, with framework apps, and with framework
 * apps that run as users of their own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { expect, onTestFinished } from "vitest";
import type { Lease } from "../../../../src/core/lease.ts";
import { atFileEnd } from "../../../support/file-end.ts";
import { engineOptions, revisionOf, temporaryDirectory, until, writeContent } from "../../helpers.ts";
import { usersOfTheirOwn } from "../../platform-process.ts";
import { createProcessEngine } from "../../process-engine.ts";
import type { DoomedPlatform, Stage, Subject } from "../subject.ts";

type Kind = "args" | "framework";

/** The subject for one kind of app; with `ownUsers`, which only root can do, each app runs as a user of its own. */
export function processSubject(kind: Kind, { ownUsers = false } = {}): Subject {
  const name = `local, process, ${kind}${ownUsers ? ", users of their own" : ""}`;
  return { name, exceptions: {}, stage: () => stageOf(kind, ownUsers) };
}

async function stageOf(kind: Kind, ownUsers: boolean): Promise<Stage> {
  const base = temporaryDirectory();
  const built = await builtPrograms();
  const options = { ...engineOptions(base), env: process.env, stopMs: 500 };
  let images = 0;
  const entrypoints = new Map<string, string[]>();
  const { prepare } = options;
  options.prepare = async (digest, ...rest) => ({
    ...(await prepare(digest, ...rest)),
    entrypoint: entrypoints.get(digest),
  });
  mkdirSync(options.stateDir, { mode: 0o700 });
  if (ownUsers) {
    chmodSync(base, 0o711);
    options.isolation = usersOfTheirOwn(base);
    expect(options.isolation.ownUsers).toBe(true);
  }
  return {
    async open({ drainMs } = {}) {
      const engine = await createProcessEngine({ ...options, ...(drainMs === undefined ? {} : { drainMs }) });
      onTestFinished(() => engine.close());
      return engine;
    },
    async revision(name, behaviour, { entrypoint, ...details }) {
      const digest = `d${images++}`;
      const dir = join(base, "content", digest);
      const files = { "behaviour.json": JSON.stringify(behaviour) };
      if (entrypoint) entrypoints.set(digest, entrypoint);
      if ((details.spec?.kind ?? kind) === "framework") {
        await writeContent(dir, { files });
        cpSync(join(built, "framework-app.mjs"), join(dir, "app.mjs"));
        return revisionOf(name, digest, details);
      }
      await writeContent(dir, { files });
      cpSync(join(built, "process-main.mjs"), join(dir, "main.mjs"));
      return revisionOf(name, digest, { ...details, spec: { kind, args: ["node", "main.mjs"], ...details.spec } });
    },
    secret(id, version, value) {
      if (value) options.secrets.set(`${id}@${version}`, value);
      else options.secrets.delete(`${id}@${version}`);
    },
    doomedPlatform: (wanted) => startDoomed(join(built, "doomed-main.mjs"), { base, wanted, ownUsers }),
  };
}

/** Starts a platform that is to be killed: a program that prints as `doomed-main.ts` does. */
export async function startDoomed(program: string, argument: object): Promise<DoomedPlatform> {
  const platform = spawn(process.execPath, [program, JSON.stringify(argument)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void platform.kill("SIGKILL"));
  const ended = once(platform, "exit");
  const printed: unknown[] = [];
  createInterface(platform.stdout).on("line", (line) => printed.push(JSON.parse(line)));
  await Promise.race([
    until(() => printed.length > 0),
    ended.then(() => Promise.reject(new Error("the platform ended by itself"))),
  ]);
  return {
    lease: { ...(printed.shift() as Lease), release: () => {} },
    logged: async (line) => void (await until(() => printed.includes(line))),
    async kill() {
      platform.kill("SIGKILL");
      await ended;
    },
  };
}

const repository = join(import.meta.dirname, "..", "..", "..", "..");
let programs: Promise<string> | undefined;

/** Directory of the bundled programs, made once for a test file. */
export function builtPrograms(): Promise<string> {
  programs ??= (async () => {
    const dir = mkdtempSync(join(tmpdir(), "ae-programs-"));
    atFileEnd(() => {
      programs = undefined;
      rmSync(dir, { recursive: true, force: true });
    });
    await build({
      entryPoints: ["process-main", "framework-app", "doomed-main", "doomed-docker-main"].map((name) =>
        join(import.meta.dirname, `${name}.ts`),
      ),
      outdir: dir,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node22.19",
      logLevel: "warning",
      alias: { appctl: join(repository, "src/sdk/index.ts") },
      banner: {
        js: 'import{createRequire as __appRequire}from"node:module";const require=__appRequire(import.meta.url);',
      },
    });
    return dir;
  })();
  return programs;
}
