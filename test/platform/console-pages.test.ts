import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { AppStatus, DeploymentEvent } from "../../src/contract/types.ts";
import { CONTENT_SECURITY_POLICY } from "../../src/platform/console/page-layout.ts";
import { appPage, appsPage } from "../../src/platform/console/pages.ts";
import { sampleApp } from "../cli/samples.ts";

const base = { v: 1, seq: 1, time: "2026-03-01T12:00:00.000Z" } as const;
const pageOf = async (app: Partial<AppStatus> = {}, events: DeploymentEvent[] = []) =>
  String(await appPage({ ...sampleApp, ...app }, events));

describe("an app's page", () => {
  it("keeps itself up to date while the app deploys, by a script that the policy allows, and without a refresh", async () => {
    const deploying = await pageOf({ status: "Deploying", message: "revision web-00003" });
    expect(deploying).not.toContain("http-equiv");
    expect(deploying).toMatch(/<noscript><p><a href="\/console\/projects\/[^"]+\/web">Reload<\/a><\/p><\/noscript>/);
    expect(deploying).toMatch(/role="status" id="news">web: Deploying\./);
    const [, script = ""] = /<script>([\s\S]*)<\/script>/.exec(deploying) ?? [];
    const hash = createHash("sha256").update(script).digest("base64");
    expect(CONTENT_SECURITY_POLICY.split("; ")).toEqual(
      expect.arrayContaining(["default-src 'none'", `script-src 'sha256-${hash}'`, "connect-src 'self'"]),
    );
    const running = await pageOf();
    expect(running).not.toMatch(/<script|<noscript|data-live/);
  });

  it("says what the gateway does, and nothing of what the app may do", async () => {
    expect(await pageOf()).toContain("The gateway requires an API key.");
    expect(await pageOf({ requiresAuth: false })).toContain("Public: the gateway asks for no key.");
  });

  it("says why the latest deployment failed, and what still serves", async () => {
    const cause = { code: "EXITED", message: "it exited", hint: "look" };
    const failed = (serving?: string | null): DeploymentEvent => ({
      ...{ ...base, type: "failed", revision: "web-00003", cause },
      ...(serving === undefined ? {} : { serving }),
    });
    expect((await pageOf({}, [failed("web-00002")])).replaceAll("<wbr>", "")).toContain(
      "12:00:00  Failed: it exited (look). Revision web-00002 still serves</pre>",
    );
    for (const serving of [null, undefined]) expect(await pageOf({}, [failed(serving)])).toContain("(look)</pre>");
  });

  it("has places to wrap inside of URLs, and none inside of words and options", async () => {
    const page = await pageOf();
    expect(page).toContain(">http://<wbr>rough-<wbr>meadow-<wbr>97cf5.<wbr>apps.<wbr>localhost:7654</a>");
    expect(page).toContain("curl -H &quot;Authorization: Bearer $APPCTL_API_KEY&quot;");
    expect(String(await appsPage({ project: "p", domain: "d" }, [sampleApp]))).toContain("apps.<wbr>localhost");
  });
});
