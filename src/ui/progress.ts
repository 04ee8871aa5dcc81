import { type ColorMode, canAnimate, type Io } from "./io.ts";
import { cutToWidth, plainLine } from "./plain-text.ts";
import type { Output } from "./streams.ts";
import { usesColor } from "./style.ts";

/** How {@link Progress.say} says it. */
export interface SayOptions {
  /** Leave it out where each text is a line of its own. */
  animatedOnly?: boolean;
  /** How far it has come, for example `12/45`; shown where it can be replaced by the next. */
  count?: string | undefined;
}

/** Says on stderr what is going on. */
export interface Progress {
  /** What is going on from now on. */
  say(text: string, options?: SayOptions): void;
  /** Runs `write` with the animation out of the way: what it writes may go to the same terminal. */
  around(write: () => void): void;
  /** Takes the animation away; {@link Progress.say} brings it back. */
  stop(): void;
}

/** The {@link Progress} for a stream: a spinner on a terminal, else one line for each new text. */
export function progressOn(stream: Output, env: NodeJS.ProcessEnv, color: ColorMode): Progress {
  return canAnimate(stream, env) ? new Spinner(stream, usesColor(stream, env, color)) : new Lines(stream);
}

/** `io` with a stderr that gets the animation out of the way of whatever is written to it. */
export function besideProgress(io: Io, progress: Progress): Io {
  const { stderr } = io;
  const beside: Output = {
    write: (text) => progress.around(() => stderr.write(text)),
    get isTTY() {
      return stderr.isTTY ?? false;
    },
    get columns() {
      return stderr.columns ?? 80;
    },
  };
  // Not a copy: stdin is opened when it is looked at.
  return Object.create(io, { stderr: { value: beside } }) as Io;
}

class Lines implements Progress {
  readonly #stream: Output;
  #last = "";

  constructor(stream: Output) {
    this.#stream = stream;
  }

  say(text: string, options: SayOptions = {}): void {
    const line = plainLine(text);
    if (options.animatedOnly || line === this.#last) return;
    this.#last = line;
    this.#stream.write(`${line}\n`);
  }

  around(write: () => void): void {
    write();
  }

  stop(): void {}
}

const CLEAR_LINE = "\r\x1b[2K";

/**
 * ora, once it is loaded. Loading it takes longer than a person should look at nothing, so the first frame is drawn by
 * hand.
 */
class Spinner implements Progress {
  readonly #stream: Output;
  readonly #colored: boolean;
  #ora: import("ora").Ora | undefined;
  #loading: Promise<void> | undefined;
  #text = "";
  #shown = false;
  #first = false;

  constructor(stream: Output, colored: boolean) {
    this.#stream = stream;
    this.#colored = colored;
  }

  say(text: string, { count }: SayOptions = {}): void {
    // A line that wraps cannot be taken away again.
    this.#text = cutToWidth(
      plainLine(count ? `${text} ${count}` : text),
      Math.max(10, (this.#stream.columns ?? 80) - 4),
    );
    this.#shown = true;
    if (this.#ora) {
      this.#ora.text = this.#text;
      if (!this.#ora.isSpinning) this.#ora.start();
      return;
    }
    this.#draw();
    this.#loading ??= this.#load();
  }

  around(write: () => void): void {
    // Only what is drawn is taken away: the line may be a prompt's.
    const spinner = this.#shown ? this.#ora : undefined;
    if (spinner) spinner.stop();
    else this.#erase();
    write();
    if (spinner) spinner.start();
    else if (this.#shown) this.#draw();
  }

  stop(): void {
    if (!this.#shown) return;
    this.#shown = false;
    this.#erase();
    this.#ora?.stop();
  }

  #draw(): void {
    this.#stream.write(`${CLEAR_LINE}⠋ ${this.#text}`);
    this.#first = true;
  }

  #erase(): void {
    if (this.#first) this.#stream.write(CLEAR_LINE);
    this.#first = false;
  }

  async #load(): Promise<void> {
    const { default: ora } = await import("ora");
    this.#ora = ora({
      stream: this.#stream as NodeJS.WritableStream,
      color: this.#colored ? "cyan" : false,
      // It would switch stdin to raw mode, where Ctrl-C is no signal any more.
      discardStdin: false,
      isEnabled: true,
    });
    this.#erase();
    if (this.#shown) this.#ora.start(this.#text);
  }
}
