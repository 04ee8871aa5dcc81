/** The contract's program as a process that listens on $PORT. Its behaviour lies beside it. */
import { createServer } from "node:http";
import { begin } from "../program.ts";
import { behaviourBeside, machine } from "./process-machine.ts";

const server = begin(behaviourBeside(import.meta.url), machine);
if (server) {
  createServer(server.request).on("upgrade", server.upgrade).listen(Number(process.env["PORT"]), process.env["HOST"]);
} else setInterval(() => {}, 60_000);
