import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A gate at which apps wait until the test opens it. They ask over HTTP, since an app reads no files but its own. */
export interface AppGate {
  /** Answers 200 when the gate is open, 503 before. */
  readonly url: string;
  /** Source of an expression for the top level of an app's file: it waits there when it is served, not when it is described. */
  readonly wait: string;
  /** Resolves when an app waits there. */
  readonly asked: Promise<void>;
  open(): void;
  close(): Promise<void>;
}

/** Makes a closed gate. */
export async function appGate(): Promise<AppGate> {
  let isOpen = false;
  const asked = Promise.withResolvers<void>();
  const server = createServer((_, response) => {
    asked.resolve();
    response.writeHead(isOpen ? 200 : 503).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    url,
    wait: `while (process.env.K_SERVICE && !(await fetch("${url}")).ok) await new Promise((r) => setTimeout(r, 20));`,
    asked: asked.promise,
    open() {
      isOpen = true;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
