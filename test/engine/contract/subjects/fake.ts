/** The fake: the contract's program runs inside the test's own process, behind a server of its own for each life. */
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { onTestFinished } from "vitest";
import { Redacted } from "../../../../src/core/redacted.ts";
import { FakeEngine, FakeState } from "../../fake-engine.ts";
import type { FakeLife } from "../../fake-program.ts";
import { collect, ref, revisionOf } from "../../helpers.ts";
import { never } from "../ground.ts";
import { type Behaviour, begin } from "../program.ts";
import type { Stage, Subject, Wishes } from "../subject.ts";

export const fakeSubject: Subject = {
  name: "fake",
  exceptions: {
    "failing: a program that is not there fails the revision, with its name":
      "it runs programs of the test's own process, which are always there",
    "starting: the args of an App are handed to the entry point of its image, and its secrets are there":
      "it runs programs of the test's own process, and has no images",
    "failing: an entry point that is not there fails the revision, with its name":
      "it runs programs of the test's own process, and has no images",
    "secrets: a file lies in memory, and not on a disk": "it has no files: a path is only a name there",
    "limits: a program that takes too much memory before it listens fails the revision for it":
      "its programs share the memory of the test's own process",
    "limits: a program that takes more memory than its limit is ended for it, and started again":
      "its programs share the memory of the test's own process",
    "limits: an image that is not there fails the revision, with its digest in words":
      "it runs programs of the test's own process, and has no images",
    "limits: an image that is not there leaves the revision before as it is":
      "it runs programs of the test's own process, and has no images",
  },
  async stage(): Promise<Stage> {
    const state = new FakeState();
    const behaviours = new Map<string, Behaviour>();
    const secrets = new Map<string, Buffer>();
    const open = async ({ drainMs }: Wishes = {}) => {
      const engine = new FakeEngine({
        state,
        script: ({ digest }) => {
          const behaviour = behaviours.get(digest) ?? {};
          return (life) => runProgram(behaviour, life);
        },
        readSecret: async (id, version) => {
          const value = secrets.get(`${id}@${version}`);
          if (!value) throw new Error(`no secret ${id} of version ${version}`);
          return new Redacted(value);
        },
        ...(drainMs === undefined ? {} : { drainMs }),
        stopMs: 500,
      });
      onTestFinished(() => engine.close());
      return engine;
    };
    return {
      open,
      async revision(name, behaviour, details) {
        const digest = `d${behaviours.size}`;
        behaviours.set(digest, behaviour);
        return revisionOf(name, digest, details);
      },
      secret(id, version, value) {
        if (value) secrets.set(`${id}@${version}`, value);
        else secrets.delete(`${id}@${version}`);
      },
      async doomedPlatform(wanted) {
        const engine = await open();
        await engine.apply(wanted);
        await collect(engine.observe(ref, wanted.traffic ?? "", never));
        const lease = engine.lease(ref);
        if (!lease) throw new Error("it does not serve");
        return {
          lease,
          async logged(wantedLine) {
            for await (const { line } of engine.logs(ref, { follow: true, signal: never })) {
              if (line === wantedLine) return;
            }
          },
          kill: async () => engine.die(),
        };
      },
    };
  },
};

function runProgram(behaviour: Behaviour, life: FakeLife): void {
  const program = begin(behaviour, {
    env: life.env,
    readFile: (path) => life.readFile(path),
    isInMemory: () => false,
    print: (stream, bytes) => life.print(stream, bytes),
    exit: (code) => life.exit(code),
    onTerm: (handler) => life.onTerm(handler),
  });
  if (!program || life.over.aborted) return;
  const server: Server = createServer(program.request).on("upgrade", program.upgrade);
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket.once("close", () => sockets.delete(socket)));
  });
  life.over.addEventListener("abort", () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  server.listen(0, "127.0.0.1", () => {
    life.listens({ address: { host: "127.0.0.1", port: (server.address() as AddressInfo).port } });
  });
}
