import type { Io } from "../../ui/io.ts";
import { type FollowFlags, followDeployment } from "../shared/follow-deployment.ts";

/** `appctl rollback NAME [REVISION]`: gives an earlier revision the traffic, with the secrets that it is pinned to. */
export function rollback(io: Io, name: string, revision: string | undefined, flags: FollowFlags): Promise<void> {
  return followDeployment(io, name, flags, async ({ client, scope }) => {
    const { id, consoleUrl, endpoint } = await client.setTraffic({ ...scope, name }, revision);
    return { deployment: id, consoleUrl, endpoint };
  });
}
