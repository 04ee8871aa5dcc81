import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { formatApiKey } from "../../src/core/api-key.ts";
import { type FromGateway, GatewayTable, type RouteRow, type ToGateway } from "../../src/gateway/route-table.ts";

const row = (replicas: string[], more: Partial<RouteRow> = {}): RouteRow => ({
  app: "web",
  requiresAuth: false,
  requestTimeoutMs: 1000,
  stopped: false,
  isComing: false,
  replicas: replicas.map((id) => ({ id, replica: id, revision: "web-00001", address: { socketPath: `/${id}` } })),
  ...more,
});

function tableWith(...routes: [string, RouteRow | null][]) {
  const sent: FromGateway[] = [];
  const table = new GatewayTable((message) => sent.push(message));
  let number = 0;
  const apply = (step: Partial<Extract<ToGateway, { type: "table" }>>) => {
    table.apply({ type: "table", number: ++number, isWhole: false, routes: [], keys: [], probes: [], ...step });
    return sent.splice(0);
  };
  apply({ isWhole: true, routes });
  return { table, sent, apply };
}

describe("the table of a gateway", () => {
  it("confirms each step, and says at once that a replica without requests is idle", () => {
    const { table, apply } = tableWith(["web", row(["a"])]);
    expect(table.route("web")?.lease()?.replica).toBe("a");
    table.route("web")?.lease()?.release();
    expect(table.route("other")).toBeUndefined();
    // The first lease is held: it was never released.
    expect(apply({ routes: [["web", row(["b"])]] })).toEqual([{ type: "applied", number: 2 }]);
    expect(apply({ routes: [["web", row(["c"])]] })).toEqual([
      { type: "applied", number: 3 },
      { type: "idle", id: "b" },
    ]);
  });

  it("says that a replica is idle when its last request has ended, once", () => {
    const { table, sent, apply } = tableWith(["web", row(["a"])]);
    const leases = [table.route("web")?.lease(), table.route("web")?.lease()];
    apply({ routes: [["web", null]] });
    expect(table.route("web")).toBeUndefined();
    leases[0]?.release();
    leases[0]?.release();
    expect(sent).toEqual([]);
    leases[1]?.release();
    expect(sent).toEqual([{ type: "idle", id: "a" }]);
  });

  it("takes its replicas in turns", () => {
    const { table } = tableWith(["web", row(["a", "b"])]);
    const route = table.route("web");
    expect([1, 2, 3].map(() => route?.lease()?.replica)).toEqual(["a", "b", "a"]);
  });

  it("lets requests wait for a replica that is coming, until the route changes", async () => {
    const { table, apply } = tableWith(["web", row([], { isComing: true })]);
    const coming = table.route("web")?.coming;
    expect(coming).toBeInstanceOf(Promise);
    expect(table.route("web")?.lease()).toBeNull();
    apply({ routes: [["web", row(["a"])]] });
    await coming;
    expect(table.route("web")?.coming).toBeUndefined();
    expect(table.route("web")?.lease()?.replica).toBe("a");
  });

  it("is a new one when it comes whole: what is not in it is gone", async () => {
    const { table, apply } = tableWith(["web", row(["a"])], ["slow", row([], { isComing: true })]);
    const coming = table.route("slow")?.coming;
    expect(apply({ isWhole: true, routes: [["other", row(["c"])]] })).toEqual([
      { type: "applied", number: 2 },
      { type: "idle", id: "a" },
    ]);
    await coming;
    expect([table.route("web"), table.route("slow")]).toEqual([undefined, undefined]);
    expect(table.route("other")?.lease()?.replica).toBe("c");
  });

  it("knows keys by their hash alone, and reports which were used", () => {
    const secret = Buffer.alloc(32, 7);
    const key = formatApiKey({ endpoint: "http://localhost:7654", secret });
    const hash = createHash("sha256").update(secret).digest("hex");
    const { table, apply } = tableWith();
    const refused = { ok: false, status: 401, code: "UNAUTHENTICATED" };
    for (const field of [undefined, "", `Bearer ${key}`, key, "Basic x"])
      expect(table.authorize(field)).toMatchObject(refused);
    apply({ keys: [[hash, true]] });
    expect(table.authorize(`Bearer ${key}`)).toEqual({ ok: true });
    expect(table.authorize(`bearer  ${key} `)).toEqual({ ok: true });
    expect(table.authorize(`Bearer ${key}x`)).toMatchObject(refused);
    apply({ keys: [[hash, false]] });
    expect(table.authorize(`Bearer ${key}`)).toMatchObject(refused);
  });

  it("redeems a probe once, and for its host alone", () => {
    const { table, apply } = tableWith();
    apply({ probes: [["token", "web.apps.localhost"]] });
    expect(table.redeemProbe("token", "other.apps.localhost")).toBe(false);
    expect(table.redeemProbe("token", "web.apps.localhost")).toBe(true);
    expect(table.redeemProbe("token", "web.apps.localhost")).toBe(false);
  });
});
