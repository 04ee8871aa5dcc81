import { createServer } from "node:net";

/** Ports of 127.0.0.1 that the kernel says are free and that no live replica of this platform was given. */
export class FreePorts {
  readonly #taken = new Set<number>();

  /** A free port. It stays out of later answers until it is released. */
  async take(): Promise<number> {
    for (;;) {
      const port = await askKernel();
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      return port;
    }
  }

  /** Keeps a port out of later answers: a replica of an earlier platform has it. */
  claim(port: number): void {
    this.#taken.add(port);
  }

  /** Gives a port back. */
  release(port: number): void {
    this.#taken.delete(port);
  }
}

function askKernel(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (address && typeof address === "object") resolve(address.port);
        else reject(new Error("the kernel gave no port"));
      });
    });
  });
}
