import { spawn } from "node:child_process";
import { once } from "node:events";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { itLong } from "../support/amount.ts";
import { cli, get, repository, World } from "./harness.ts";

let world: World;
beforeAll(async () => {
  world = await World.create();
});
afterAll(() => world.close());

describe("a deploy", () => {
  it("asks at a terminal for each secret that does not exist yet, hidden, and then deploys", async () => {
    const dir = world.folder("asks", {
      "app.ts": `import { App, Secret } from "appctl";
        export default new App({ name: "asks", requiresAuth: false, secrets: [new Secret({ key: "ONE" }), new Secret({ key: "TWO" })],
          frameworkApp: { fetch: () => new Response(process.env.ONE + "-" + process.env.TWO) } });`,
    });
    const command = [process.execPath, cli, "deploy", "apps", "app.ts", "asks"].map((word) => `'${word}'`).join(" ");
    const child = spawn("script", ["-qec", command, "/dev/null"], {
      cwd: dir,
      env: { ...world.env, TERM: "xterm" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let screen = "";
    const answers = new Map([
      ["ONE", "first-value"],
      ["TWO", "second-value"],
    ]);
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      screen += chunk;
      for (const [name, value] of answers) {
        if (!new RegExp(`${name}[^\\n]*: ?(?:\\x1b\\[[^m]*m)*$`).test(screen)) continue;
        answers.delete(name);
        child.stdin.write(`${value}\r`);
      }
    });
    const [code] = await once(child, "close");
    expect(code, screen).toBe(0);
    screen = screen.replace(/\x1b\[[\d;]*m/g, "");
    expect(screen).toContain("[Status] Started: Service is ready");
    expect(screen).not.toContain("first-value");
    const [, endpoint] = /Deployed Endpoint: (\S+?)(?:\x1b|\r)/.exec(screen) ?? [];
    expect((await get(`${endpoint}/`)).body).toBe("first-value-second-value");
  });

  it("needs neither a package.json nor installed packages: those of the ImageSpec come from its layer", async () => {
    const dir = world.folder("bare", {
      "app.ts": `import { App, ImageSpec } from "appctl";
        import isNumber from "is-number";
        export default new App({ name: "bare", requiresAuth: false, containerImage: new ImageSpec({ packages: ["is-number@7.0.0"] }),
          frameworkApp: { fetch: () => new Response("is 7 a number: " + isNumber(7)) } });`,
    });
    const { code, stdout, stderr } = await world.run(["deploy", "apps", "app.ts"], { cwd: dir });
    expect(code, stdout + stderr).toBe(0);
    const [, endpoint] = /Deployed Endpoint: (\S+)/.exec(stdout) ?? [];
    expect((await get(`${endpoint}/`)).body).toBe("is 7 a number: true");
  });

  itLong("names a package that does not exist, and a version that does not, before anything is deployed", async () => {
    const dir = world.folder("missing", {
      "app.ts": `import { App, ImageSpec } from "appctl";
        export default new App({ name: "missing", frameworkApp: { fetch: () => new Response("") },
          containerImage: new ImageSpec({ packages: ["is-number@99.0.0", "no-such-package-appctl-test@1.0.0"] }) });`,
    });
    const { code, stderr } = await world.run(["deploy", "apps", "app.ts"], { cwd: dir });
    expect(code).toBe(7);
    expect(stderr).toContain("is-number has no version 99.0.0");
    expect(stderr).toContain("no-such-package-appctl-test does not exist");
    expect((await world.run(["get", "apps", "missing"])).code).toBe(4);
  });

  it("carries a native package into its layer, outside the bundle", async () => {
    const dir = world.folder("native", {
      "app.ts": `import { App } from "appctl";
        import { transform } from "lightningcss";
        export default new App({ name: "native", requiresAuth: false, frameworkApp: { fetch: () => new Response(
          transform({ filename: "a.css", code: new TextEncoder().encode("a { color: red }"), minify: true }).code.toString()) } });`,
    });
    symlinkSync(join(repository, "node_modules"), join(dir, "node_modules"));
    const { code, stdout, stderr } = await world.run(["deploy", "apps", "app.ts"], { cwd: dir });
    expect(code, stdout + stderr).toBe(0);
    const [, endpoint] = /Deployed Endpoint: (\S+)/.exec(stdout) ?? [];
    expect((await get(`${endpoint}/`)).body).toBe("a{color:red}");
  });
});
