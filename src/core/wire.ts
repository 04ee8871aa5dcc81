/** Messages between processes of one platform: JSON after its length, four bytes, on a pipe that both inherit. */
import type { Duplex } from "node:stream";

/** Largest message, in bytes. Both ends are ours; a longer one is a fault of the program. */
const LARGEST = 64 * 1024 * 1024;

/** One end of the pipe. */
export class Wire<Sent extends object, Received extends object> {
  readonly #pipe: Duplex;
  #chunks: Buffer[] = [];
  #size = 0;

  /** `closed` is called once, when the other end is gone. */
  constructor(pipe: Duplex, received: (message: Received) => void, closed: () => void) {
    this.#pipe = pipe;
    pipe.on("data", (chunk: Buffer) => this.#take(chunk, received));
    pipe.on("error", () => undefined); // "close" follows
    pipe.once("end", () => pipe.destroy());
    pipe.once("close", closed);
  }

  /** Sends a message. One to an end that is gone is lost. */
  send(message: Sent): void {
    if (!this.#pipe.writable) return;
    const body = Buffer.from(JSON.stringify(message));
    const head = Buffer.alloc(4);
    head.writeUInt32BE(body.length);
    this.#pipe.write(Buffer.concat([head, body]));
  }

  /** Resolves when everything that was sent has left this process. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#pipe.writable) this.#pipe.write("", () => resolve());
      else resolve();
    });
  }

  #take(chunk: Buffer, received: (message: Received) => void): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (this.#size >= 4) {
      const all = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
      this.#chunks = [all];
      const length = all.readUInt32BE(0);
      if (length > LARGEST) throw new Error(`a message of ${length} bytes`);
      if (all.length < 4 + length) return;
      this.#chunks = all.length > 4 + length ? [all.subarray(4 + length)] : [];
      this.#size = all.length - 4 - length;
      received(JSON.parse(all.toString("utf8", 4, 4 + length)));
    }
  }
}
