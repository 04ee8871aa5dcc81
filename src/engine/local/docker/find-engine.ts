/** Which of the sockets has a container engine behind it. */
import { EngineApi } from "../../../container-engine/docker-api.ts";
import type { TriedSocket } from "../../../container-engine/socket.ts";
import { noEngine } from "./docker-failures.ts";

/** An engine that answers. */
export interface FoundEngine {
  api: EngineApi;
  /** It can make networks. */
  hasBridge: boolean;
}

/**
 * The first engine of the sockets that answers. One that takes a connection and says nothing for `timeoutMs` is passed over.
 * Throws an `AppctlError` when none answers, with what was tried.
 */
export async function findEngine(sockets: readonly string[], timeoutMs?: number): Promise<FoundEngine> {
  const tried: TriedSocket[] = [];
  for (const socketPath of sockets) {
    let api: EngineApi | undefined;
    try {
      api = await EngineApi.connect(socketPath, { timeoutMs });
      return { api, hasBridge: await api.hasBridge({ timeoutMs }) };
    } catch (error) {
      api?.close();
      tried.push({ socketPath, error });
    }
  }
  throw noEngine(tried);
}
