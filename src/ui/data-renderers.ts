/** Draws a deploy for programs. stdout carries data only; progress and warnings go to stderr. */
import type { DeployEvent } from "../core/events.ts";
import type { Accepted, DeployRenderer } from "./deploy-renderer.ts";
import type { ColorMode, Io } from "./io.ts";
import { type Progress, progressOn } from "./progress.ts";
import { PLAIN } from "./style.ts";
import { sayBuild, sayPushed, warn } from "./text-renderer.ts";

type Succeeded = Extract<DeployEvent, { type: "succeeded" }>;

abstract class DataRenderer implements DeployRenderer {
  readonly progress: Progress;
  protected readonly io: Io;

  constructor(io: Io, color: ColorMode) {
    this.io = io;
    this.progress = progressOn(io.stderr, io.env, color);
  }

  event(event: DeployEvent): void {
    if (event.type === "warning") this.progress.around(() => warn(this.io, PLAIN, event.message));
    else if (event.type === "build") sayBuild(this.progress, event);
    else if (event.type === "pushed") sayPushed(this.progress, event);
    else if (event.type === "deploying") this.progress.say(`Waiting for ${event.app}`);
  }

  abstract accepted(deploy: Accepted): void;

  end(): void {
    this.progress.stop();
  }
}

/** One JSON object at the end: the deployed app; apps that it depends on are in `dependencies`. */
class JsonRenderer extends DataRenderer {
  readonly #succeeded: Succeeded[] = [];
  /** By the names of the apps. */
  readonly #pushed = new Map<string, { reference: string; digest: string }>();
  #accepted: Accepted | undefined;

  override event(event: DeployEvent): void {
    super.event(event);
    if (event.type === "succeeded") this.#succeeded.push(event);
    else if (event.type === "pushed") {
      const { app, reference, digest } = event;
      this.#pushed.set(app, { reference, digest });
    }
  }

  accepted(deploy: Accepted): void {
    this.#accepted = deploy;
  }

  override end(): void {
    super.end();
    const withPushed = <T extends { app: string }>(result: T) => {
      const pushed = this.#pushed.get(result.app);
      return pushed ? { ...result, pushed } : result;
    };
    const results = this.#succeeded.map(({ type: _, ...result }) => withPushed(result));
    const last = this.#accepted
      ? { status: "accepted", ...withPushed(this.#accepted) }
      : { status: "started", ...results.pop() };
    const value = results.length > 0 ? { ...last, dependencies: results } : last;
    this.io.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  }
}

/**
 * Each event as a line. The terminal one comes last and once: `succeeded`, `accepted` (`--no-wait`), or `failed`, which
 * the process edge writes. What a dependency ended with is `dependency`.
 */
class NdjsonRenderer extends DataRenderer {
  #held: Succeeded | undefined;

  override event(event: DeployEvent): void {
    super.event(event);
    if (this.#held) this.io.lines.write({ ...this.#held, type: "dependency" });
    this.#held = undefined;
    if (event.type === "succeeded") this.#held = event;
    else this.io.lines.write(event);
  }

  accepted(deploy: Accepted): void {
    this.io.lines.write({ type: "accepted", ...deploy });
  }

  override end(): void {
    super.end();
    if (this.#held) this.io.lines.write(this.#held);
    this.#held = undefined;
  }
}

/** Only the endpoint, without a trailing slash. */
class UrlRenderer extends DataRenderer {
  #endpoint: string | undefined;

  override event(event: DeployEvent): void {
    super.event(event);
    if (event.type === "succeeded") this.#endpoint = event.endpoint;
  }

  accepted(deploy: Accepted): void {
    this.#endpoint = deploy.endpoint;
  }

  override end(): void {
    super.end();
    if (this.#endpoint) this.io.stdout.write(`${this.#endpoint.replace(/\/+$/, "")}\n`);
  }
}

/** `-o json`. */
export const createJsonRenderer = (io: Io, color: ColorMode): DeployRenderer => new JsonRenderer(io, color);
/** `-o ndjson`. */
export const createNdjsonRenderer = (io: Io, color: ColorMode): DeployRenderer => new NdjsonRenderer(io, color);
/** `-o url`. */
export const createUrlRenderer = (io: Io, color: ColorMode): DeployRenderer => new UrlRenderer(io, color);
