/** The contract's program as the frameworkApp of a file: Fastify, whose server can take WebSockets, too. */
import { App } from "appctl";
import Fastify from "fastify";
import { begin } from "../program.ts";
import { behaviourBeside, machine } from "./process-machine.ts";

const server = begin(behaviourBeside(import.meta.url), machine);
if (!server) {
  setInterval(() => {}, 60_000);
  await new Promise(() => {});
}

const fastify = Fastify();
if (server) {
  fastify.server.on("upgrade", server.upgrade);
  fastify.all(
    "/*",
    {
      // Before Fastify reads the body: the program reads it itself.
      onRequest: (request, reply) => {
        reply.hijack();
        server.request(request.raw, reply.raw);
      },
    },
    () => {},
  );
}

export default new App({ name: "web", frameworkApp: fastify });
