import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { get, repository, World } from "./harness.ts";

// The console in a real browser: Debian's Chromium.
const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
if (!executablePath)
  console.warn("SKIPPED test/e2e/console.test.ts: no Chromium on this machine (Debian: apt-get install chromium)");

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

  it("shows text as text, and runs no script", async () => {
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
    expect(await page.locator("tbody tr").count()).toBe(2);
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
