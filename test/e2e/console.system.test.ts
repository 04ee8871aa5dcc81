import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { get, repository, World } from "./harness.ts";

// The console in a real browser: Debian's Chromium.
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
if (!executablePath)
  console.warn("SKIPPED test/e2e/console.test.ts: no Chromium on this machine (Debian: apt-get install chromium)");

/** Words of a page that are on more than one line. */
const BROKEN_WORDS = `(() => {
  const broken = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const { 0: word, index } of node.textContent.matchAll(/[\\w$]+/g)) {
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
      if (lines.size > 1) broken.push(word);
    }
  }
  return broken;
})()`;

let world: World;
let browser: Browser;
let consoleUrl: string;
let endpoint: string;

describe.skipIf(!executablePath)("the console", () => {
  beforeAll(async () => {
    world = await World.create();
    const dir = world.folder("web", {
      "app.ts": `import { App } from "appctl";
        export default new App({ name: "web", requiresAuth: false, description: "Says <b>hello</b> & goodbye",
          links: [{ title: "Docs", path: "/docs" }, { title: "Bad", path: "javascript:alert(1)" }],
          frameworkApp: { fetch: () => new Response("hello") } });
        export const broken = new App({ name: "broken", frameworkApp: { fetch: () => new Response("") }, env: { BREAK: "1" } });
        if (process.env.BREAK) throw new Error("<script>alert(1)</script>");`,
    });
    const deployed = await world.json<{ consoleUrl: string; endpoint: string }>(["deploy", "apps", "app.ts", "web"], {
      cwd: dir,
    });
    consoleUrl = deployed.consoleUrl;
    endpoint = deployed.endpoint;
    await world.run(["deploy", "apps", "app.ts", "broken"], { cwd: dir });
    browser = await chromium.launch({
      executablePath: executablePath as string,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-sync",
      ],
    });
  });
  afterAll(async () => {
    await browser?.close();
    await world?.close();
  });

  const fresh = async (): Promise<Page> =>
    (await browser.newContext({ viewport: { width: 1000, height: 900 } })).newPage();

  it("asks for a key at the URL that a deploy prints, refuses a wrong one, and leads to the app's page", async () => {
    const page = await fresh();
    await page.goto(consoleUrl);
    expect(new URL(page.url()).pathname).toBe("/console/sign-in");
    await page.fill("#key", "appctl_wrong");
    await page.click("button");
    expect(await page.textContent("[role=alert]")).toContain("not a valid API key");
    const created = await world.json<{ key: string }>([
      "create",
      "api-key",
      "admin",
      "--name",
      "BROWSER",
      "--no-secret",
    ]);
    await page.fill("#key", created.key);
    await page.click("button");
    expect(page.url()).toBe(consoleUrl);
    expect(await page.textContent("h1")).toMatch(/web\s+Running/);
    expect(await page.textContent("#endpoint")).toBe(endpoint);
    expect(await page.textContent("#curl")).toBe(`curl ${endpoint}/`);
    const lines = await page.textContent("#events");
    expect(lines).toContain("[Status] Pending: IngressNotConfigured: Ingress has not yet been reconciled.");
    expect(lines).toContain("[Status] Started: Service is ready");
    const dir = join(repository, "test", ".tmp");
    mkdirSync(dir, { recursive: true });
    await page.screenshot({ path: join(dir, "console-app.png"), fullPage: true });

    // A session lives no longer than its key.
    await world.ok(["delete", "api-key", "BROWSER"]);
    await page.reload();
    expect(new URL(page.url()).pathname).toBe("/console/sign-in");
  });

  it("signs in by the one-time link that `appctl open` prints, once", async () => {
    const link = (await world.ok(["open", "web", "-o", "url"])).trim();
    const page = await fresh();
    await page.goto(link);
    expect(page.url()).toBe(consoleUrl);
    const again = await fresh();
    await again.goto(link);
    expect(await again.textContent("[role=alert]")).toContain("used already");
    await page.click("text=Sign out");
    await page.goto(consoleUrl);
    expect(new URL(page.url()).pathname).toBe("/console/sign-in");
  });

  it("keeps the page of a deploying app up to date, with its focus and its place, and needs no script to be read", async () => {
    // The user of the app has to see it.
    const outside = mkdtempSync(join(tmpdir(), "gate-"));
    onTestFinished(() => rmSync(outside, { recursive: true }));
    chmodSync(outside, 0o755);
    const gate = join(outside, "go-on");
    const dir = world.folder("slow", {
      "app.ts": `import { App } from "appctl";
        const wait = ["node", "-e", ${JSON.stringify(`
          const start = () => require("node:fs").existsSync(${JSON.stringify(gate)})
            ? require("node:http").createServer((_, res) => res.end("slow")).listen(process.env.PORT)
            : setTimeout(start, 50);
          start();`)}];
        export default new App({ name: "slow", requiresAuth: false, args: wait });`,
    });
    const deploy = world.run(["deploy", "apps", "app.ts", "slow"], { cwd: dir });
    const link = async () => (await world.ok(["open", "slow", "-o", "url"])).trim();
    await vi.waitFor(async () => expect((await world.run(["get", "apps", "slow"])).code).toBe(0), 60_000);
    const page = await fresh();
    await page.setViewportSize({ width: 360, height: 500 });
    const loads: string[] = [];
    page.on("framenavigated", (frame) => loads.push(frame.url()));
    const complaints: string[] = [];
    page.on("console", (message) => complaints.push(message.text()));
    await page.goto(await link());
    expect(await page.textContent("#status")).toBe("Deploying");
    await page.evaluate(axe.source);
    expect(await page.evaluate("axe.run().then(({ violations }) => violations.map(({ id }) => id))")).toEqual([]);
    expect(await page.locator("meta[http-equiv]").count()).toBe(0);
    await page.focus("#endpoint");
    await page.evaluate("window.scrollTo(0, 150)");
    const loaded = loads.length;
    writeFileSync(gate, "");
    await page.locator("#status", { hasText: "Running" }).waitFor();
    expect(await page.textContent("[role=status]")).toMatch(/^slow: Running\. Deployed slow-00001 at http/);
    expect(await page.textContent("#events")).toContain("[Status] Started: Service is ready");
    expect(await page.textContent("#revision")).toBe("slow-00001");
    expect(await page.evaluate("[document.activeElement.id, window.scrollY]")).toEqual(["endpoint", 150]);
    expect([loads.length, complaints]).toEqual([loaded, []]);
    expect((await deploy).code).toBe(0);
  });

  it("fits a narrow screen: no page is wider, and no word is broken but at the separators of a URL", async () => {
    const page = await fresh();
    await page.setViewportSize({ width: 360, height: 800 });
    for (const target of [[], ["web"], ["broken"]]) {
      await page.goto((await world.ok(["open", ...target, "-o", "url"])).trim());
      expect(await page.evaluate("document.documentElement.scrollWidth"), target.join()).toBe(360);
      expect(await page.evaluate(BROKEN_WORDS), target.join()).toEqual([]);
    }
  });

  it.each(["light", "dark"] as const)(
    "breaks no rule of axe in %s colors, on a page of each kind",
    async (colorScheme) => {
      const context = await browser.newContext({ viewport: { width: 1000, height: 900 }, colorScheme });
      const page = await context.newPage();
      const faultsOf = async (): Promise<string[]> => {
        await page.evaluate(axe.source);
        return page.evaluate(`axe.run().then(({ violations }) => violations.map(({ id, impact, nodes }) =>
        impact + " " + id + ": " + nodes.map(({ html }) => html).join(" ")))`);
      };
      await page.goto(consoleUrl);
      expect(await faultsOf(), "sign-in").toEqual([]);
      await page.fill("#key", "appctl_wrong");
      await page.click("button");
      expect(await faultsOf(), "a refused key").toEqual([]);
      for (const target of [[], ["web"], ["broken"]]) {
        await page.goto((await world.ok(["open", ...target, "-o", "url"])).trim());
        expect(await faultsOf(), target.join()).toEqual([]);
      }
      await page.goto(`${consoleUrl}x`);
      expect(await faultsOf(), "a page that does not exist").toEqual([]);
      await context.close();
    },
  );

  it("shows text as text, and runs no script of an app", async () => {
    const page = await fresh();
    const dialogs: string[] = [];
    page.on("dialog", (dialog) => {
      dialogs.push(dialog.message());
      void dialog.dismiss();
    });
    await page.goto((await world.ok(["open", "broken", "-o", "url"])).trim());
    expect(await page.textContent("#status")).toBe("Failed");
    expect(await page.textContent("#events")).toContain("<script>alert(1)</script>");
    await page.goto(consoleUrl);
    expect(await page.textContent("main")).toContain("Says <b>hello</b> & goodbye");
    const links = await page.locator("main a").evaluateAll((all) => all.map((a) => a.getAttribute("href")));
    expect(links.filter((href) => href?.startsWith("javascript"))).toEqual([]);
    expect(dialogs).toEqual([]);
    const { headers } = await get(`http://localhost:${world.port}/console/sign-in`);
    expect(headers["content-security-policy"]).toContain("default-src 'none'");
  });

  it("lists the apps, and says so when there is no such app or page", async () => {
    const page = await fresh();
    await page.goto((await world.ok(["open", "-o", "url"])).trim());
    expect(await page.locator("tbody tr").count()).toBe(3);
    const missing = await page.goto(`${consoleUrl}x`);
    expect(missing?.status()).toBe(404);
    expect(await page.textContent("main")).toContain("There is no app webx");
    const context = await browser.newContext({ viewport: { width: 390, height: 800 }, colorScheme: "dark" });
    const phone = await context.newPage();
    await phone.goto((await world.ok(["open", "web", "-o", "url"])).trim());
    await phone.screenshot({ path: join(repository, "test", ".tmp", "console-phone.png"), fullPage: true });
    const overflow = await phone.evaluate(
      "document.documentElement.scrollWidth > document.documentElement.clientWidth",
    );
    expect(overflow).toBe(false);
  });
});
