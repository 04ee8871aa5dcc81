import type { DeployEvent } from "../core/events.ts";
import { statusLine } from "../core/status-line.ts";
import type { Accepted, DeployRenderer } from "./deploy-renderer.ts";
import type { ColorMode, Io } from "./io.ts";
import { plainLine } from "./plain-text.ts";
import { type Progress, progressOn } from "./progress.ts";
import { type Style, styleOf } from "./style.ts";

/** Draws a deploy for people: its lines on stdout, progress and warnings on stderr. */
export async function createTextRenderer(io: Io, color: ColorMode): Promise<DeployRenderer> {
  const [out, err] = await Promise.all([styleOf(io.stdout, io.env, color), styleOf(io.stderr, io.env, color)]);
  return new TextRenderer(io, out, err, progressOn(io.stderr, io.env, color));
}

class TextRenderer implements DeployRenderer {
  readonly progress: Progress;
  readonly #io: Io;
  readonly #out: Style;
  readonly #err: Style;
  #lastStatus = "";

  constructor(io: Io, out: Style, err: Style, progress: Progress) {
    this.#io = io;
    this.#out = out;
    this.#err = err;
    this.progress = progress;
  }

  event(event: DeployEvent): void {
    switch (event.type) {
      case "image":
        this.#image(event);
        break;
      case "build":
        sayBuild(this.progress, event);
        break;
      case "pushed":
        sayPushed(this.progress, event);
        break;
      case "warning":
        this.progress.around(() => warn(this.#io, this.#err, event.message));
        break;
      case "deploying":
        this.#lastStatus = "";
        this.#print(`✨ Deploying Application: ${this.#out.bold(plainLine(event.app))}`);
        this.#print(`🔎 Console URL: ${this.#out.cyan(plainLine(event.consoleUrl))}`);
        this.#waiting(event.app);
        break;
      case "status":
        this.#status(event);
        break;
      case "succeeded":
        this.progress.stop();
        this.#print(`🚀 Deployed Endpoint: ${this.#out.green(plainLine(event.endpoint))}`);
    }
  }

  accepted({ app, endpoint }: Accepted): void {
    this.progress.stop();
    this.#print(`${app} is accepted; this command does not wait. Its endpoint will be: ${endpoint}`);
  }

  end(): void {
    this.progress.stop();
  }

  #image({ state, reference, here }: Extract<DeployEvent, { type: "image" }>): void {
    const image = plainLine(reference);
    if (state === "found") this.#print(`Image ${image} found${here ? " on this machine" : ""}. Skip building.`);
    else if (state !== "built") {
      this.#print(`Image ${image} ${state === "forced" ? "exists (force)" : "not found"}. Building…`);
      this.progress.say("Building the image", { animatedOnly: true });
    } else this.progress.say(`Image ${image} built.`);
  }

  #status({ phase, reason, message }: Extract<DeployEvent, { type: "status" }>): void {
    const step = { phase, reason: plainLine(reason), message: plainLine(message) };
    const text = statusLine(step);
    if (text === this.#lastStatus) return;
    this.#lastStatus = text;
    const paint = phase === "Started" ? this.#out.green : phase === "Failed" ? this.#out.red : this.#out.yellow;
    if (phase !== "Pending") this.progress.stop();
    this.#print(statusLine(step, paint));
  }

  #waiting(app: string): void {
    this.progress.say(`Waiting for ${app} (Ctrl-C ends the waiting, not the deploy)`, { animatedOnly: true });
  }

  #print(line: string): void {
    this.progress.around(() => this.#io.stdout.write(`${line}\n`));
  }
}

/** Says what the registry has. */
export function sayPushed(progress: Progress, { reference, digest }: Extract<DeployEvent, { type: "pushed" }>): void {
  progress.say(`The registry has ${plainLine(reference)}@${plainLine(digest)}`);
}

/** Prints a warning on stderr. */
export function warn(io: Pick<Io, "stderr">, style: Style, message: string): void {
  io.stderr.write(`${style.yellow("Warning:")} ${plainLine(message)}\n`);
}

/** Shows a build step. */
export function sayBuild(progress: Progress, event: Extract<DeployEvent, { type: "build" }>): void {
  const { message, done = 0, total, unit, by } = event;
  const [size, decimals, suffix] = (total ?? 0) < 1e6 ? [1e3, 0, " kB"] : [1e6, 1, " MB"];
  const isBytes = unit === "bytes";
  const count = isBytes ? (bytes: number) => (bytes / size).toFixed(decimals) : String;
  progress.say(by === "platform" ? `${message} on the platform` : message, {
    count: total === undefined ? undefined : `${count(done)}/${count(total)}${isBytes ? suffix : ""}`,
  });
}
