import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, it } from "vitest";
import { tryLock } from "../../src/platform/process-lock.ts";
import { temporaryDirectory } from "../engine/helpers.ts";

it("is held by one process at a time and goes with it, even when it is killed", async () => {
  const file = join(temporaryDirectory(), "lock");
  const program = `
    import { tryLock } from ${JSON.stringify(new URL("../../src/platform/process-lock.ts", import.meta.url).href)};
    process.send(tryLock(${JSON.stringify(file)}) ? "held" : "taken");
    setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const [message] = await once(holder, "message");
  expect(message).toBe("held");
  expect(tryLock(file)).toBeUndefined();
  const ended = once(holder, "exit");
  holder.kill("SIGKILL");
  await ended;
  const lock = tryLock(file);
  expect(lock).toBeDefined();
  expect(tryLock(file)).toBeUndefined();
  lock?.release();
  expect(tryLock(file)).toBeDefined();
});
