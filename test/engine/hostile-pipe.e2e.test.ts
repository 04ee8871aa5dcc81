import { describe, expect, it } from "vitest";
import { call, fetchApp, ref, startEngine } from "./helpers.ts";

// What an app writes to the pipe of its server shim (descriptor 3) must not matter to whoever reads it.
const fs = 'process.getBuiltinModule("node:fs")';
/** Writes as much of `data` as the pipe takes. */
const write = (data: string) =>
  `try { const data = ${data}; for (let at = 0; at < data.length; ) at += ${fs}.writeSync(3, data, at); } catch (error) { if (error.code !== "EAGAIN") throw error; }`;

describe("an app that writes to its shim's pipe", () => {
  it.each([
    ["two bytes", write('Buffer.from("x\\n")')],
    [
      "a message of Node's IPC",
      write(`Buffer.from('{"cmd":"NODE_HANDLE_ACK"}\\n{"cmd":"NODE_HANDLE","type":"net.Server"}\\n')`),
    ],
    ["512 MB without a newline", write("Buffer.alloc(512 * 1024 * 1024, 97)")],
    [
      "random bytes, again and again",
      `for (let i = 0; i < 1000; i++) { ${write("crypto.getRandomValues(new Uint8Array(4096))")} }`,
    ],
  ])("%s: goes on, and so do its neighbours", async (_, attack) => {
    const { engine, revision, deploy } = await startEngine();
    const before = process.memoryUsage().rss;
    await deploy(await revision("web-00001", { app: fetchApp(`${attack} return new Response("attacked");`) }));
    for (let i = 0; i < 3; i++) expect((await call(engine.lease(ref))).body).toBe("attacked");
    expect(engine.replicas(ref)).toMatchObject([{ state: "Ready", restarts: 0 }]);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
    // The next revision starts as ever.
    await deploy(await revision("web-00002", { app: fetchApp('return new Response("two");') }));
    expect((await call(engine.lease(ref))).body).toBe("two");
  });

  it("finds no channel of Node's there", async () => {
    const { engine, revision, deploy } = await startEngine();
    const names =
      "[process.send, process._send, process.channel, process._channel, process.disconnect, process.connected]";
    const variables = "Object.keys(process.env).filter((name) => /CHANNEL|SOCKET|TOKEN/.test(name))";
    await deploy(
      await revision("web-00001", {
        app: fetchApp(`return Response.json([${names}.map((value) => typeof value), ${variables}]);`),
      }),
    );
    const [types, seen] = JSON.parse((await call(engine.lease(ref))).body) as [string[], string[]];
    expect(types).toEqual(types.map(() => "undefined"));
    expect(seen).toEqual([]);
  });

  it("fails at once when it ends before it listens, whatever it wrote", async () => {
    const { revision, deploy } = await startEngine();
    const app = fetchApp('return new Response("never");', `${fs}.writeSync(3, "x"); process.exit(3);`);
    const conditions = await deploy(await revision("web-00001", { app }));
    expect(conditions.at(-1)).toMatchObject({ ready: "False", cause: { code: "EXITED" } });
  });
});
