import type { Client } from "../../src/client/client.ts";
import { platformStore } from "../../src/image/platform-store.ts";
import type { Descriptor } from "../../src/oci/model.ts";

/** What the platform has under `reference`, asked as a deploy does it. */
export function resolveImage(client: Client, reference: string): Promise<Descriptor | undefined> {
  return platformStore(client, { address: "", signal: new AbortController().signal }).resolve(reference);
}
