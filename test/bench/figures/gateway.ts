import { availableParallelism } from "node:os";
import type { Figure, Measured, Row } from "../figure.ts";
import { missingPrograms } from "../programs.ts";
import { type Load, Proxies } from "../proxies.ts";
import { compare, median } from "../statistics.ts";

const BODIES: Record<string, number> = { "1 KiB": 1024, "64 KiB": 64 * 1024 };
const REASONS: Record<string, string> = {
  "1 KiB":
    "Node's HTTP server takes as much processor time for a request that it answers itself as nginx for one that it forwards",
  "64 KiB":
    "copying in and out of the kernel takes most of the time of every proxy: nginx itself has less than twice caddy's rate here, and Node copies a body once more than both",
};
/** The first is what everything loses against; the last is ours. */
const TARGETS = ["no proxy", "nginx", "caddy", "caddy, tuned", "appctl"];
const LIMITS = { caddy: 2, nginx: 0.4 };

const rows: Record<string, Row> = {};
for (const size of Object.keys(BODIES)) {
  for (const [peer, limit] of Object.entries(LIMITS)) {
    rows[`${peer}, ${size}`] = {
      what: `the gateway's requests a second on one core, ${size} bodies`,
      against: peer,
      unit: "requests/s",
      target: { of: "ratio", atLeast: limit },
      missed: REASONS[size] as string,
    };
  }
}

/**
 * The gateway beside nginx and caddy: caddy as it comes, which the target is about, and with as many idle connections as it
 * has clients, for information. All of them stand before the same upstream, an nginx that serves files on a unix socket,
 * since a Node app would be the slowest part of all three. The proxy has a core for itself; the load and the upstream have
 * the other. Ours is the whole platform (listener, routes, store, gateway), only its engine is told where the replica is.
 */
export const gateway: Figure = {
  name: "gateway",
  rows,
  async measure({ quick, rounds }) {
    const missing =
      missingPrograms(["wrk", "nginx", "caddy", "taskset"]) ??
      (availableParallelism() < 2 ? "this machine has one core" : undefined);
    if (missing) return { rows: Object.fromEntries(Object.keys(rows).map((name) => [name, { missing }])) };

    const seconds = quick ? 1 : 4;
    const proxies = await Proxies.start(
      Object.fromEntries(Object.entries(BODIES).map(([size, n]) => [pathOf(size), n])),
    );
    const loads = new Map<string, Load[]>();
    const of = (target: string, size: string) => loads.get(`${target}, ${size}`) ?? [];
    try {
      // Once before it counts: code gets compiled, connections get made.
      for (const target of TARGETS) for (const size in BODIES) await proxies.load(target, `/${pathOf(size)}`, seconds);
      for (let round = 0; round < rounds(7); round++) {
        for (const size in BODIES) {
          for (const target of round % 2 ? [...TARGETS].reverse() : TARGETS) {
            const load = await proxies.load(target, `/${pathOf(size)}`, seconds);
            loads.set(`${target}, ${size}`, [...of(target, size), load]);
          }
        }
      }
    } finally {
      await proxies.close();
    }
    const results: Record<string, Measured> = {};
    for (const size in BODIES) {
      for (const peer in LIMITS) {
        const rates = (target: string) => of(target, size).map(({ rate }) => rate);
        results[`${peer}, ${size}`] = compare({ ours: rates("appctl"), floor: rates(peer) });
      }
    }
    const middle = (target: string, size: string, field: keyof Load) =>
      median(of(target, size).map((load) => load[field]));
    const lines = Object.keys(BODIES).flatMap((size) =>
      TARGETS.map((target) => [
        target,
        size,
        middle(target, size, "rate").toFixed(0),
        `${middle(target, size, "p99").toFixed(2)} ms`,
        target === "no proxy" ? "" : `${middle(target, size, "cpu").toFixed(1)} µs`,
      ]),
    );
    return {
      rows: results,
      details: [
        {
          title: "The gateway and its peers, each on one core, 64 connections that are kept open",
          head: ["proxy", "bodies", "requests/s", "p99", "processor time for a request"],
          lines,
        },
      ],
    };
  },
};

const pathOf = (size: string) => size.replace(" ", "").toLowerCase();
