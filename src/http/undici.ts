/**
 * The part of undici that a client needs: its agent and `request`. The package's own entry also brings fetch, caches, mocks
 * and proxies, which takes longer than everything else that a command loads.
 */
import type { Dispatcher, ProxyAgent, Agent as UndiciAgent } from "undici";
// @ts-expect-error the same
import UntypedRequest from "undici/lib/api/api-request.js";
// @ts-expect-error undici has types for its entry only
import UntypedAgent from "undici/lib/dispatcher/agent.js";

/** undici's agent: connections to any number of origins. */
export const Agent: typeof UndiciAgent = UntypedAgent;

/** undici's agent that goes through an HTTP proxy. Most have none, so its code runs only when it is asked for. */
export async function proxyAgent(options: ProxyAgent.Options): Promise<ProxyAgent> {
  // @ts-expect-error the same
  const { default: UntypedProxyAgent } = await import("undici/lib/dispatcher/proxy-agent.js");
  // @ts-expect-error the same
  const { default: UntypedPool } = await import("undici/lib/dispatcher/pool.js");
  // @ts-expect-error the same
  const { default: connect } = await import("undici/lib/api/api-connect.js");
  // The package's own entry gives every dispatcher its `connect`, which opens tunnels.
  const clientFactory = (origin: URL, pool: object) => Object.assign(new UntypedPool(origin, pool), { connect });
  return new UntypedProxyAgent({ ...options, clientFactory });
}

/** Sends a request through `agent`, as undici's own `request` does. */
export function request(agent: Dispatcher, options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData<null>> {
  return UntypedRequest.call(agent, options);
}
