import { appendFileSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LogLine } from "../../src/contract/types.ts";
import { LineSplitter, LONGEST_LINE } from "../../src/core/lines.ts";
import { AppLog } from "../../src/engine/local/logs/app-log.ts";
import { readLog } from "../../src/engine/local/logs/read-log.ts";
import { ReplicaKeeper } from "../../src/supervisor/replica-keeper.ts";
import { call, collect, fetchApp, ref, startEngine, temporaryDirectory, until } from "./helpers.ts";

const never = new AbortController().signal;
const line = (number: number, time = 1_700_000_000_000 + number): LogLine => ({
  time: new Date(time).toISOString(),
  replica: "web-00001-abcde",
  revision: "web-00001",
  stream: "stdout",
  line: `line ${number}`,
});
const numbers = (lines: LogLine[]) => lines.map((entry) => Number(entry.line.split(" ")[1]));
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe("cutting lines", () => {
  it("gives the same lines however the bytes arrive", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme" })), fc.array(fc.nat(20)), (texts, cuts) => {
        const lines = texts.map((text) => text.replace(/[\r\n]/g, "·"));
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(""));
        const splitter = new LineSplitter();
        const seen: string[] = [];
        let at = 0;
        for (const cut of cuts) {
          seen.push(...splitter.push(bytes.subarray(at, at + cut)));
          at += cut;
        }
        seen.push(...splitter.push(bytes.subarray(at)), ...splitter.flush());
        expect(seen).toEqual(lines);
      }),
    );
  });

  it("hands a line that is too long on in pieces, between characters", () => {
    const text = `${"x".repeat(LONGEST_LINE - 1)}🔑${"ü".repeat(LONGEST_LINE)}`;
    const splitter = new LineSplitter();
    const pieces = [...splitter.push(Buffer.from(text)), ...splitter.push(Buffer.from("\r\nnext\n"))];
    expect(pieces.slice(0, -1).join("")).toBe(text);
    expect(pieces.at(-1)).toBe("next");
    expect(pieces.length).toBe(5);
    for (const piece of pieces) expect(Buffer.byteLength(piece)).toBeLessThanOrEqual(LONGEST_LINE);
  });

  it("flushes the last line without a line end, and takes bytes that are no text", () => {
    const splitter = new LineSplitter();
    expect(splitter.push(Buffer.from([0x61, 0xff, 0x0a, 0x62]))).toEqual(["a\ufffd"]);
    expect(splitter.flush()).toEqual(["b"]);
    expect(splitter.flush()).toEqual([]);
  });
});

describe("an app's log", () => {
  const limits = { segmentBytes: 2_000, segments: 3 };

  it("keeps the newest segments and reads across them", async () => {
    const dir = temporaryDirectory();
    const log = new AppLog(dir, limits);
    for (let i = 0; i < 200; i++) await log.append([line(i)]);
    expect(readdirSync(dir)).toHaveLength(3);
    for (const file of readdirSync(dir)) expect(statSync(join(dir, file)).size).toBeLessThanOrEqual(2_000);
    const all = numbers(await collect(readLog(log, { follow: false, signal: never })));
    expect(all).toEqual(range(all[0] ?? -1, 200));
    expect(all.length).toBeGreaterThan(25);
    for (const tail of [0, 1, 15, 20, 1000]) {
      const last = numbers(await collect(readLog(log, { follow: false, signal: never, tail })));
      expect(last).toEqual(tail === 0 ? [] : all.slice(-tail));
    }
    const since = await collect(readLog(log, { follow: false, signal: never, since: 1_700_000_000_000 + 190 }));
    expect(numbers(since)).toEqual(range(190, 200));
    await log.close();

    // a new platform goes on where the log ends, after a crash in the middle of a line
    appendFileSync(join(dir, "current.ndjson"), '{"time":"2023');
    const again = new AppLog(dir, limits);
    await again.append([line(200)]);
    expect(numbers(await collect(readLog(again, { follow: false, signal: never, tail: 3 })))).toEqual([198, 199, 200]);
    await again.close();
  });

  it("follows without losing or doubling a line while it rotates", async () => {
    const log = new AppLog(temporaryDirectory(), { segmentBytes: 3_000, segments: 50 });
    for (let i = 0; i < 50; i++) await log.append([line(i)]);
    const aborter = new AbortController();
    const seen: number[] = [];
    const slow: number[] = [];
    const read = async (into: number[], pause: boolean) => {
      for await (const entry of readLog(log, { follow: true, signal: aborter.signal, tail: 10 })) {
        into.push(...numbers([entry]));
        if (pause && into.length % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
        if (into.at(-1) === 999) return;
      }
    };
    const readers = [read(seen, false), read(slow, true)];
    await until(() => seen.length === 10);
    for (let i = 50; i < 1000; i++) {
      const written = log.append([line(i)]);
      if (i % 7 === 0) await written;
      if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(readers);
    expect(seen).toEqual(range(40, 1000));
    expect(slow).toEqual(range(40, 1000));
    await log.close();
  });

  it("ends a follower when its signal aborts and when the log is closed", async () => {
    const log = new AppLog(temporaryDirectory());
    await log.append([line(1)]);
    const aborter = new AbortController();
    const aborted = collect(readLog(log, { follow: true, signal: aborter.signal }));
    const closed = collect(readLog(log, { follow: true, signal: never }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    aborter.abort();
    expect(numbers(await aborted)).toEqual([1]);
    await log.append([line(2)]);
    await log.close();
    expect(numbers(await closed)).toEqual([1, 2]);
  });
});

describe("a replica's output", () => {
  it("is kept line by line, with time, replica, revision and stream", async () => {
    const { engine, revision, deploy, logs, stateDir } = await startEngine();
    const app = fetchApp(
      'return new Response("ok");',
      'console.log("to stdout\\nsecond"); console.error("to stderr"); process.stdout.write("no line end");',
    );
    await deploy(await revision("web-00001", { app }));
    const replica = engine.replicas(ref)[0]?.name;
    await engine.apply({ ref, revisions: [], traffic: null });
    await until(() => engine.replicas(ref).length === 0);
    const lines = await logs();
    expect(lines.filter(({ stream }) => stream === "stdout").map((entry) => entry.line)).toEqual([
      "to stdout",
      "second",
      "no line end",
    ]);
    expect(lines.filter(({ stream }) => stream === "stderr").map((entry) => entry.line)).toEqual(["to stderr"]);
    for (const entry of lines) {
      expect(entry).toMatchObject({ replica, revision: "web-00001" });
      expect(Math.abs(Date.parse(entry.time) - Date.now())).toBeLessThan(60_000);
    }
    const file = join(stateDir, "logs", "default", "development", "web", "current.ndjson");
    expect(
      readFileSync(file, "utf8")
        .trim()
        .split("\n")
        .map((text) => JSON.parse(text.replace(/^\{"before":\d+,/, "{"))),
    ).toEqual(lines);
  });

  it("of 100 MB does not grow the platform, and all that is kept is whole", async () => {
    const { engine, revision, deploy, logs } = await startEngine();
    const app = fetchApp(`
      const text = "x".repeat(1000);
      for (let i = 0; i < 100_000; i++) {
        if (!process.stdout.write(i + " " + text + "\\n")) await new Promise((resolve) => process.stdout.once("drain", resolve));
      }
      return new Response("written");`);
    await deploy(await revision("web-00001", { app }));
    const before = process.memoryUsage().rss;
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().rss);
    }, 20);
    expect(await call(engine.lease(ref))).toMatchObject({ body: "written" });
    clearInterval(watch);
    expect(most - before).toBeLessThan(100 * 1024 * 1024);
    const kept = await logs({ tail: 30_000 });
    const first = Number(kept[0]?.line.split(" ")[0]);
    expect(kept.map((entry) => Number(entry.line.split(" ")[0]))).toEqual(range(first, first + kept.length));
    expect(first + kept.length).toBeGreaterThan(99_000);
  });

  it("is followed live", async () => {
    const { engine, revision, deploy } = await startEngine();
    await deploy(
      await revision("web-00001", {
        app: fetchApp('console.log("asked", new URL(request.url).pathname); return new Response();'),
      }),
    );
    const aborter = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const entry of engine.logs(ref, { follow: true, signal: aborter.signal, tail: 0 }))
        seen.push(entry.line);
    })();
    for (const path of ["/a", "/b"]) await call(engine.lease(ref), path);
    await until(() => seen.includes("asked /b"));
    aborter.abort();
    await following;
    expect(seen.filter((text) => text !== "asked /")).toEqual(["asked /a", "asked /b"]);
  });
});

describe("a follower that is slower than the log", () => {
  it("gets the number of the lines that it has missed, and every other line", async () => {
    const log = new AppLog(join(temporaryDirectory(), "log"), { segmentBytes: 2_000, segments: 3 });
    await log.append(range(0, 5).map((number) => line(number)));
    const follower = readLog(log, { tail: 2, follow: true, signal: never });
    const read = async () => (await follower.next()).value as LogLine;
    expect([(await read()).line, (await read()).line]).toEqual(["line 3", "line 4"]);
    for (let number = 5; number < 200; number++) await log.append([line(number)]);
    const rest: string[] = [];
    while (rest.at(-1) !== "line 199") rest.push((await read()).line);
    const at = rest.findIndex((text) => text.endsWith(" lines were not kept"));
    expect(at).toBeGreaterThan(-1);
    expect(rest.filter((text) => text.endsWith("not kept"))).toHaveLength(1);
    const kept = rest.filter((text) => text.startsWith("line ")).map((text) => Number(text.slice(5)));
    expect(Number(rest[at]?.split(" ")[0]) + kept.length).toBe(195);
    expect(kept.slice(at)).toEqual(range(kept[at] as number, 200));
    await log.close();
    // A writer that begins later counts on.
    const again = new AppLog(log.dir, log.limits);
    await again.append([line(200)]);
    expect(await collect(readLog(again, { tail: 1, follow: false, signal: never }))).toEqual([line(200)]);
    await again.close();
  });
});

describe("a flood of lines", () => {
  it("is cut, with a count of the lines that were not kept, and what follows is kept", async () => {
    const { engine, revision, deploy } = await startEngine({ host: new ReplicaKeeper({ linesASecond: 1000 }) });
    const flood = `const fs = process.getBuiltinModule("node:fs");
      fs.writeSync(1, "first\\n");
      fs.writeSync(1, "\\n".repeat(3_000_000));`;
    await deploy(
      await revision("web-00001", { app: fetchApp('console.log("last"); return new Response("up");', flood) }),
    );
    let lines: LogLine[] = [];
    while (!lines.some(({ line: text }) => text === "last")) {
      await call(engine.lease(ref));
      lines = await collect(engine.logs(ref, { follow: false, signal: never }));
    }
    expect(lines[0]?.line).toBe("first");
    const dropped = lines.flatMap(({ line }) =>
      Number(/^(\d+) lines were not kept: more than 1000 lines a second$/.exec(line)?.[1] ?? 0),
    );
    const empty = lines.filter(({ line }) => line === "").length;
    expect(empty + dropped.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(3_000_000);
    expect(empty).toBeLessThan(100_000);
  });

  it("gives lines up to a number, and counts those beyond it", () => {
    const splitter = new LineSplitter();
    expect(splitter.pushAtMost(Buffer.from("a\nb\nc\nd\ne"), 2)).toEqual({ lines: ["a", "b"], dropped: 2 });
    expect(splitter.pushAtMost(Buffer.from("f\ng\n"), 2)).toEqual({ lines: ["ef", "g"], dropped: 0 });
    expect(splitter.pushAtMost(Buffer.from("h\ni"), 0)).toEqual({ lines: [], dropped: 1 });
    expect(splitter.flush()).toEqual(["i"]);
  });
});
