import type { Io } from "../../ui/io.ts";
import { type FollowFlags, followDeployment } from "../shared/follow-deployment.ts";

/** `appctl start apps NAME`: starts a stopped app and waits until it serves. */
export function startApps(io: Io, name: string, flags: FollowFlags): Promise<void> {
  return followDeployment(io, name, flags, async ({ client, scope }) => {
    const { id, consoleUrl, endpoint } = await client.startApp({ ...scope, name });
    return { deployment: id, consoleUrl, endpoint };
  });
}
