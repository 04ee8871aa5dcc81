import type { CommonFlags } from "./global-flags.ts";

/** Flags of `platform start` and `platform run`. */
export interface StartFlags extends CommonFlags {
  host?: string;
  baseDomain?: string;
  url?: string;
  runtime?: string;
  gatewayWorkers?: number;
  foreground?: boolean;
  printSystemdUnit?: boolean;
}

/** The arguments of `platform run`. */
export function runArguments(
  port: number,
  flags: Pick<StartFlags, "host" | "baseDomain" | "url" | "runtime" | "gatewayWorkers">,
): string[] {
  return [
    ...["--port", String(port)],
    ...(flags.host === undefined ? [] : ["--host", flags.host]),
    ...(flags.baseDomain === undefined ? [] : ["--base-domain", flags.baseDomain]),
    ...(flags.url === undefined ? [] : ["--url", flags.url]),
    ...(flags.runtime === undefined ? [] : ["--runtime", flags.runtime]),
    ...(flags.gatewayWorkers === undefined ? [] : ["--gateway-workers", String(flags.gatewayWorkers)]),
  ];
}
