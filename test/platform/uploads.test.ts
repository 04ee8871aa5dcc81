import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, it, onTestFinished } from "vitest";
import { OciLayout } from "../../src/oci/layout.ts";
import { digestOf } from "../../src/oci/model.ts";
import { Uploads } from "../../src/platform/images/registry-api/uploads.ts";
import { folder } from "../image/support.ts";

const HOUR = 3600 * 1000;

async function uploadsIn(dir: string) {
  const layout = new OciLayout(dir);
  const clock = { now: Date.parse("2026-03-01T12:00:00Z") };
  const uploads = new Uploads(layout, () => new Date(clock.now));
  const files = () => (existsSync(join(dir, "uploads")) ? readdirSync(join(dir, "uploads")) : []);
  return { layout, clock, uploads, files };
}

const bytes = (text: string) => Readable.from([Buffer.from(text)]);

it("a newer request takes an upload over from one whose client is gone, and both bring their bytes", async () => {
  const { layout, uploads } = await uploadsIn(join(await folder(), "images"));
  const id = await uploads.start("web");
  const hanging = new Readable({ read: () => undefined });
  hanging.push("first ");
  const old = uploads.append("web", id, hanging);
  const ended = expect(old).rejects.toThrow();
  await expect.poll(() => uploads.size("web", id)).toBe(6);
  await uploads.finish("web", id, digestOf("first second"), bytes("second"), 6);
  await ended;
  expect((await layout.readBlob(digestOf("first second"))).toString()).toBe("first second");
});

it("an upload to which nothing is sent for a day is given up; one that goes on is not", async () => {
  const { uploads, clock, files } = await uploadsIn(join(await folder(), "images"));
  const idle = await uploads.start("web");
  const going = await uploads.start("web");
  clock.now += 23 * HOUR;
  await uploads.append("web", going, bytes("more"));
  clock.now += 2 * HOUR;
  const next = await uploads.start("web");
  expect(files().sort()).toEqual([going, next].sort());
  expect(() => uploads.size("web", idle)).toThrow("it has ended");
  expect(uploads.size("web", going)).toBe(4);
});

it("a disk that is full ends the upload with the reason, and gets its space back", async ({ skip }) => {
  if (process.getuid?.() !== 0) {
    return skip("only root can mount a small file system");
  }
  const dir = join(await folder(), "small");
  mkdirSync(dir);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", dir], { stdio: "ignore" });
  } catch {
    return skip("this machine lets root mount nothing");
  }
  onTestFinished(() => void execFileSync("umount", ["-l", dir]));
  const { uploads, files } = await uploadsIn(dir);
  const id = await uploads.start("web");
  await uploads.append("web", id, bytes("a".repeat(100_000)));
  const failure = uploads.append("web", id, bytes("a".repeat(400_000)));
  await expect(failure).rejects.toMatchObject({ code: "DISK_FULL", exit: 6 });
  expect(files()).toEqual([]);
  expect(() => uploads.size("web", id)).toThrow("it has ended");
  const again = await uploads.start("web");
  await uploads.finish("web", again, digestOf("fits"), bytes("fits"));
});
