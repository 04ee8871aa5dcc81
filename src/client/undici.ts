/**
 * The part of undici that a client needs: its agent and `request`. The package's own entry also brings fetch, caches, mocks
 * and proxies, which takes longer than everything else that a command loads.
 */
import type { Dispatcher, Agent as UndiciAgent } from "undici";
// @ts-expect-error the same
import UntypedRequest from "undici/lib/api/api-request.js";
// @ts-expect-error undici has types for its entry only
import UntypedAgent from "undici/lib/dispatcher/agent.js";

/** undici's agent: connections to any number of origins. */
export const Agent: typeof UndiciAgent = UntypedAgent;

/** Sends a request through `agent`, as undici's own `request` does. */
export function request(
  agent: UndiciAgent,
  options: Dispatcher.RequestOptions,
): Promise<Dispatcher.ResponseData<null>> {
  return UntypedRequest.call(agent, options);
}
