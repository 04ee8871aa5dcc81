/**
 * The server shim: `serve.mjs` in the app layer of every image. It imports the bundle next to it, serves the App that
 * `APPCTL_APP` names, else the only one, and ends gracefully at SIGTERM. It answers nothing of its own but 403 to who has no token.
 *
 * It reads `APPCTL_CHANNEL` for the descriptor of the pipe to its parent, `APPCTL_SOCKET` (else `HOST` and `PORT`) for where to listen and `APPCTL_REPLICA_TOKEN` for what a request must
 * carry in `appctl-replica-token`; `app.json` next to it lists the secrets of each App.
 */
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import type { App } from "../sdk/app.ts";
import { exportedApps } from "../sdk/framework.ts";
import { openChannel } from "./channel.ts";
import { SHIM_PREFIX, ShimExit } from "./exits.ts";
import { type Handler, handlerOf } from "./handler.ts";
import { createReplicaServer } from "./replica-server.ts";

/** Content of `app.json`. */
interface Declarations {
  apps: Record<string, { secrets?: { key: string; envVar: string }[] } | undefined>;
}

const DEFAULT_PORT = 8080;
const TERMINATED = 143;

function leave(code: number, message: string): never {
  process.stderr.write(`${SHIM_PREFIX}${message}\n`);
  process.exit(code);
}

/** Prints what the app threw as Node does for an uncaught error, and ends. */
function leaveWithError(error: unknown): never {
  process.stderr.write(error instanceof Error ? `${inspect(error)}\n` : `Uncaught ${inspect(error)}\n`);
  process.exit(1);
}

/**
 * Ends after an error that nobody caught, as Node does, but without an excerpt of the source: that is a line of the
 * bundle, which is thousands of characters long. An app that listens for such errors itself decides what becomes of them.
 */
function leaveUncaught(error: unknown): void {
  if (process.listenerCount("uncaughtException") === 1) leaveWithError(error);
}

/** Takes a variable out of the environment before the app can see it. */
function take(name: string): string | undefined {
  const value = process.env[name];
  delete process.env[name];
  return value || undefined;
}

function readDeclarations(): Declarations {
  return JSON.parse(readFileSync(new URL("app.json", import.meta.url), "utf8"));
}

/** The App to serve: a platform names it; who runs the image by hand need not when there is only one. */
function wantedApp({ apps }: Declarations): string {
  const said = process.env["APPCTL_APP"];
  if (said !== undefined) return said;
  const [only, ...more] = Object.keys(apps);
  if (only !== undefined && more.length === 0) return only;
  leave(ShimExit.noSuchApp, `APPCTL_APP must name the App to serve: ${Object.keys(apps).join(", ")}`);
}

function checkSecrets(name: string, { apps }: Declarations): void {
  const missing = (apps[name]?.secrets ?? []).filter(({ envVar }) => process.env[envVar] === undefined);
  if (missing.length === 0) return;
  const list = missing.map(({ key, envVar }) => `${key} (environment variable ${envVar})`).join(", ");
  leave(
    ShimExit.missingSecret,
    `the app's environment lacks ${missing.length === 1 ? "the secret" : "the secrets"} ${list}`,
  );
}

async function importApp(name: string): Promise<App> {
  const namespace: Record<string, unknown> = await import(new URL("app.mjs", import.meta.url).href);
  const apps = exportedApps(namespace).map(({ app }) => app);
  const app = apps.find((candidate) => candidate.name === name);
  if (app) return app;
  const names = apps.map((candidate) => candidate.name).join(", ");
  leave(ShimExit.noSuchApp, `the file exports no App named "${name}"${names ? `; it exports ${names}` : ""}`);
}

async function main(): Promise<void> {
  const socketPath = take("APPCTL_SOCKET");
  const token = take("APPCTL_REPLICA_TOKEN");
  const declarations = readDeclarations();
  const name = wantedApp(declarations);
  const channel = openChannel(take("APPCTL_CHANNEL"));
  process.on("uncaughtException", leaveUncaught);
  let stop: () => void = () => process.exit(TERMINATED);
  process.on("SIGTERM", () => stop());

  checkSecrets(name, declarations);
  let handler: Handler;
  try {
    const app = await importApp(name);
    handler = await handlerOf(app.options.frameworkApp);
  } catch (error) {
    leaveWithError(error);
  }
  if (handler.kind === "unknown") {
    leave(
      ShimExit.notServable,
      `the frameworkApp of "${name}" cannot answer HTTP${handler.hint ? `. ${handler.hint}` : ""}`,
    );
  }
  const server = createReplicaServer(handler, token);
  stop = () => void server.stop().finally(() => process.exit(0));
  await server.listen(
    socketPath === undefined
      ? { host: process.env["HOST"] || "0.0.0.0", port: Number(process.env["PORT"] || DEFAULT_PORT) }
      : { path: socketPath },
  );
  channel?.listening();
}

await main();
