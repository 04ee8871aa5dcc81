import { Duplex } from "node:stream";
import fc from "fast-check";
import { expect, it } from "vitest";
import { Wire } from "../../src/core/wire.ts";

/** A pipe whose other end is read and written by the test. */
function pipe() {
  const written: Buffer[] = [];
  const end = new Duplex({
    read: () => undefined,
    write: (chunk, _, done) => {
      written.push(chunk);
      done();
    },
  });
  return { end, written };
}

it("gives the same messages however the bytes arrive", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.dictionary(fc.string(), fc.jsonValue())),
      fc.array(fc.nat(40)),
      async (messages, cuts) => {
        const sender = pipe();
        const wire = new Wire<object, object>(
          sender.end,
          () => undefined,
          () => undefined,
        );
        for (const message of messages) wire.send(message);
        await wire.flush();
        const bytes = Buffer.concat(sender.written);
        const receiver = pipe();
        const received: object[] = [];
        new Wire<object, object>(
          receiver.end,
          (message) => received.push(message),
          () => undefined,
        );
        let at = 0;
        for (const cut of cuts) {
          if (cut > 0 && at < bytes.length) receiver.end.push(bytes.subarray(at, at + cut));
          at += cut;
        }
        if (at < bytes.length) receiver.end.push(bytes.subarray(at));
        await new Promise((resolve) => setImmediate(resolve));
        expect(JSON.stringify(received)).toBe(JSON.stringify(messages));
      },
    ),
    { numRuns: 50 },
  );
});

it("says once that the other end is gone, and loses what is sent to it", async () => {
  const { end } = pipe();
  let closed = 0;
  const wire = new Wire<object, object>(
    end,
    () => undefined,
    () => closed++,
  );
  end.push(null);
  await new Promise((resolve) => setImmediate(resolve));
  wire.send({ lost: true });
  await wire.flush();
  expect(closed).toBe(1);
});
