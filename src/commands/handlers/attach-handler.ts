import type { Io } from "../../ui/io.ts";
import { wholeNumber } from "../shared/flags.ts";
import { type FollowFlags, followDeployment } from "../shared/follow-deployment.ts";

/** `appctl attach NAME`: joins a deployment again, the latest unless `--deployment` says another. */
export function attach(io: Io, name: string, flags: FollowFlags & { deployment?: string }): Promise<void> {
  const number =
    flags.deployment === undefined ? "latest" : wholeNumber("--deployment", flags.deployment, 1, 999_999_999);
  return followDeployment(io, name, flags, async ({ client, scope }) => {
    const page = await client.deploymentEvents({ ...scope, name }, number, 0, io.signal);
    const { id, consoleUrl, endpoint } = page.deployment;
    return { deployment: id, consoleUrl, endpoint };
  });
}
