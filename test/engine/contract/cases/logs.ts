/** What apps print. */
import { expect } from "vitest";
import { ref, until } from "../../helpers.ts";
import { never } from "../ground.ts";
import type { Behaviour } from "../program.ts";
import type { Cases } from "../suite.ts";

type Print = NonNullable<Behaviour["prints"]>[number];
const out = (bytes: string | Uint8Array): Print => ({
  stream: "stdout",
  base64: Buffer.from(bytes as string).toString("base64"),
});
const err = (text: string): Print => ({ ...out(text), stream: "stderr" });
const texts = (lines: { line: string }[]) => lines.map(({ line }) => line);

export const logs: Cases = {
  async "lines come in order, with their time, replica, revision and stream"(on) {
    const before = new Date(Date.now() - 1).toISOString();
    await on.serveNew("web-00001", { prints: [out("one\ntwo\n\nfour\n"), err("trouble\nmore\n")] });
    const replica = on.replicas[0]?.name;
    await on.stop();
    const lines = await on.logs();
    expect(texts(lines.filter(({ stream }) => stream === "stdout"))).toEqual(["one", "two", "", "four"]);
    expect(texts(lines.filter(({ stream }) => stream === "stderr"))).toEqual(["trouble", "more"]);
    for (const line of lines) {
      expect(line).toEqual({
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        replica,
        revision: "web-00001",
        stream: expect.any(String),
        line: expect.any(String),
      });
      expect(line.time > before && line.time <= new Date().toISOString()).toBe(true);
    }
    const times = lines.map(({ time }) => time);
    expect(times).toEqual([...times].sort());
  },

  async "an app that never printed, or never was, has none"(on) {
    expect(await on.logs()).toEqual([]);
    await on.serveNew("web-00001");
    expect(await on.logs()).toEqual([]);
  },

  async "tail gives the last lines, and none for 0"(on) {
    await on.serveNew("web-00001", { prints: [out("1\n2\n3\n4\n")] });
    await on.textsUpTo("4");
    expect(texts(await on.logs({ tail: 2 }))).toEqual(["3", "4"]);
    expect(texts(await on.logs({ tail: 4 }))).toEqual(["1", "2", "3", "4"]);
    expect(texts(await on.logs({ tail: 99 }))).toEqual(["1", "2", "3", "4"]);
    expect(await on.logs({ tail: 0 })).toEqual([]);
  },

  async "since gives the lines from a time on"(on) {
    await on.serveNew("web-00001", { prints: [out("early\n")] });
    await on.textsUpTo("early");
    const [early] = await on.logs();
    const time = Date.parse(early?.time ?? "");
    await until(() => Date.now() > time + 1);
    await on.print("late\n");
    await on.textsUpTo("late");
    expect(texts(await on.logs({ since: time }))).toEqual(["early", "late"]);
    expect(texts(await on.logs({ since: time + 1 }))).toEqual(["late"]);
    expect(await on.logs({ since: Date.now() + 60_000 })).toEqual([]);
    expect(texts(await on.logs({ since: time, tail: 1 }))).toEqual(["late"]);
  },

  async "who follows gets what there is, then each line as it comes, until the signal"(on) {
    await on.serveNew("web-00001", { prints: [out("before\n")] });
    await on.textsUpTo("before");
    const aborter = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const { line } of on.engine.logs(ref, { follow: true, signal: aborter.signal })) seen.push(line);
    })();
    for (const text of ["a", "b", "c"]) {
      await on.print(`${text}\n`);
      await until(() => seen.at(-1) === text);
    }
    aborter.abort();
    await following;
    expect(seen).toEqual(["before", "a", "b", "c"]);
    await on.print("after\n");
    expect(seen).toEqual(["before", "a", "b", "c"]);
  },

  async "who follows with a tail gets that many lines first, none for 0"(on) {
    await on.serveNew("web-00001", { prints: [out("before\n")] });
    await on.textsUpTo("before");
    const lines = on.engine.logs(ref, { follow: true, tail: 0, signal: never })[Symbol.asyncIterator]();
    const next = lines.next();
    await on.print("after\n");
    expect((await next).value?.line).toBe("after");
    await lines.return?.();
    const last = on.engine.logs(ref, { follow: true, tail: 1, signal: never })[Symbol.asyncIterator]();
    expect((await last.next()).value?.line).toBe("after");
    await last.return?.();
  },

  async "who follows an app before its first deploy gets its first line"(on) {
    const lines = on.engine.logs(ref, { follow: true, signal: never })[Symbol.asyncIterator]();
    const next = lines.next();
    await on.serveNew("web-00001", { prints: [out("first\n")] });
    expect((await next).value?.line).toBe("first");
    await lines.return?.();
  },

  async "a follower that stays sees one revision after the other"(on) {
    const lines = on.engine.logs(ref, { follow: true, signal: never })[Symbol.asyncIterator]();
    const next = async () => (await lines.next()).value;
    await on.serveNew("web-00001", { prints: [out("one\n")] });
    expect(await next()).toMatchObject({ revision: "web-00001", line: "one" });
    await on.serveNew("web-00002", { prints: [out("two\n")] });
    expect(await next()).toMatchObject({ revision: "web-00002", line: "two" });
    await lines.return?.();
  },

  async "lines of every revision, life and stop are kept, oldest first"(on) {
    const first = await on.serveNew("web-00001", { prints: [out("one\n")] });
    await on.crashAndRestart(3);
    await on.serve(await on.revision("web-00002", { prints: [out("two\n")] }), first);
    await on.stop();
    await on.serve(first);
    await on.stop();
    expect((await on.logs()).map(({ revision, line }) => `${revision} ${line}`)).toEqual([
      "web-00001 one",
      "web-00001 one",
      "web-00002 two",
      "web-00001 one",
    ]);
  },

  async "what a revision that failed printed is kept"(on) {
    await on.deploy(await on.revision("web-00001", { prints: [out("trying\n"), err("no luck\n")], start: 1 }));
    expect(texts(await on.logs()).sort()).toEqual(["no luck", "trying"]);
  },

  async "a last line without an end is kept when its program ends"(on) {
    await on.serveNew("web-00001", { prints: [out("whole\nhalf a li")] });
    await on.textsUpTo("whole");
    expect(texts(await on.logs())).toEqual(["whole"]);
    await on.stop();
    expect(texts(await on.logs())).toEqual(["whole", "half a li"]);
  },

  async "a line that is printed in parts is one line"(on) {
    await on.serveNew("web-00001");
    for (const part of ["hal", "f and ha", "lf\r\nnext\n"]) await on.print(part);
    expect(await on.textsUpTo("next")).toEqual(["half and half", "next"]);
  },

  async "text of any kind arrives as it is, and bytes that are no UTF-8 as U+FFFD"(on) {
    const odd = ['{"json": "\\u0000"}', "tab\there", "\u001b[31mred\u001b[0m", "schlüssel 🔑", "  spaces  "];
    const bytes = Buffer.concat([Buffer.from([0x61, 0xff, 0xfe, 0x62, 0x0a]), Buffer.from("after\n")]);
    await on.serveNew("web-00001", { prints: [out(odd.map((text) => `${text}\n`).join("")), out(bytes)] });
    expect(await on.textsUpTo("after")).toEqual([...odd, "a\ufffd\ufffdb", "after"]);
  },

  async "a very long line is whole, though it may come in pieces"(on) {
    const long = "äöü🔑".repeat(30_000);
    await on.serveNew("web-00001", { prints: [out(`before\n${long}\nafter\n`)] });
    const [before, ...pieces] = await on.textsUpTo("after");
    expect(before).toBe("before");
    expect(pieces.pop()).toBe("after");
    expect(pieces.join("") === long).toBe(true);
  },

  async "of many lines at once none is lost and none changes its place"(on) {
    const many = Array.from({ length: 20_000 }, (_, at) => `line ${at}`);
    await on.serveNew("web-00001");
    await on.print(`${many.join("\n")}\nlast\n`);
    const seen = await on.textsUpTo("last");
    expect(seen.length).toBe(many.length + 1);
    expect(seen.findIndex((text, at) => text !== many[at])).toBe(many.length);
    expect(texts(await on.logs({ tail: 3 }))).toEqual(["line 19998", "line 19999", "last"]);
  },
};
