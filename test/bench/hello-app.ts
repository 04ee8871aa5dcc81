/** The app of the deploy figures: Hono, as a file for `appctl deploy apps`, and bundled to run by itself. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { build } from "esbuild";
import { freePort, type World } from "../e2e/harness.ts";
import { plainEnvironment, repository } from "./process-time.ts";

const routes = (text: string) => `import { Hono } from "hono";
const app = new Hono();
app.get("/", (c) => c.text(${JSON.stringify(text)}));
`;

/** A folder with `app.ts` and with Hono installed beside it. */
export class HelloApp {
  readonly dir: string;
  readonly #file: string;
  readonly #bundle: string;

  constructor(world: World) {
    this.dir = world.folder("hello");
    symlinkSync(join(repository, "node_modules"), join(this.dir, "node_modules"));
    this.#file = join(this.dir, "app.ts");
    this.#bundle = join(this.dir, "app.mjs");
  }

  /** Writes `app.ts`; the text is its one line that changes. */
  write(text: string): void {
    writeFileSync(
      this.#file,
      `import { App } from "appctl";
${routes(text)}export const hello = new App({ name: "hello", frameworkApp: app, requiresAuth: false });
`,
    );
  }

  /** Bundles the same app, with the server that Hono's documentation puts before it, into one file. */
  async bundle(): Promise<void> {
    await build({
      stdin: {
        contents: `import { serve } from "@hono/node-server";
${routes("bare")}serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: "127.0.0.1" });`,
        resolveDir: this.dir,
      },
      bundle: true,
      format: "esm",
      platform: "node",
      minify: true,
      outfile: this.#bundle,
      banner: { js: 'import{createRequire}from"node:module";const require=createRequire(import.meta.url);' },
    });
  }

  /** Milliseconds from the start of the bare process to its first 200. */
  async bareStart(): Promise<number> {
    const port = await freePort();
    const start = performance.now();
    const child = spawn(process.execPath, [this.#bundle], {
      env: { ...plainEnvironment(), PORT: String(port) },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const ended = once(child, "exit");
    await firstSuccess(port, () => child.exitCode === null);
    const time = performance.now() - start;
    child.kill("SIGKILL");
    await ended;
    return time;
  }
}

/** Asks again and again, a millisecond apart, until the answer is 200. */
export async function firstSuccess(port: number, isRunning: () => boolean): Promise<void> {
  const status = () =>
    new Promise<number>((resolve) => {
      request({ host: "127.0.0.1", port, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .once("error", () => resolve(0)) // does not listen yet
        .end();
    });
  while ((await status()) !== 200) {
    if (!isRunning()) throw new Error("the app ended before it answered");
    await pause(1);
  }
}
