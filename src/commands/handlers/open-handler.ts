import { spawn } from "node:child_process";
import type { Io } from "../../ui/io.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { printJson } from "../shared/print.ts";
import { withSession } from "../shared/session.ts";

/** `appctl open [APP]`: a link that signs a browser in to the console, once. With `--browser` it is opened, too. */
export async function open(
  io: Io,
  name: string | undefined,
  flags: CommonFlags & { browser?: boolean },
): Promise<void> {
  const link = await withSession(io, flags, async ({ client, scope }) => {
    const path =
      name === undefined ? "/console" : new URL((await client.getApp({ ...scope, name })).consoleUrl).pathname;
    return client.consoleLink(path);
  });
  if (flags.output === "json") printJson(io, link);
  else io.stdout.write(`${link.url}\n`);
  if (flags.output === "text") {
    const seconds = Math.max(0, Math.round((Date.parse(link.expiresAt) - io.now().getTime()) / 1000));
    io.stderr.write(`The link works once, for ${seconds} s.\n`);
  }
  if (flags.browser) await openBrowser(io, link.url);
}

/** Hands `url` to the desktop's opener; where there is none, says so: the link is on stdout anyway. */
async function openBrowser(io: Io, url: string): Promise<void> {
  const program = process.platform === "darwin" ? "open" : "xdg-open";
  await new Promise<void>((resolve) => {
    const child = spawn(program, [url], { stdio: "ignore", detached: true, env: io.env });
    child.once("error", () => {
      io.stderr.write(`No browser was opened: ${program} cannot be started.\n`);
      resolve();
    });
    child.once("spawn", () => {
      child.unref();
      resolve();
    });
  });
}
