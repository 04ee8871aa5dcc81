import type { Client, Scope } from "../../client/client.ts";
import { deployRenderer } from "../../ui/choose-renderer.ts";
import type { Io } from "../../ui/io.ts";
import { besideProgress } from "../../ui/progress.ts";
import { DEFAULT_WAIT_MS, draw } from "./draw.ts";
import { milliseconds } from "./flags.ts";
import type { CommonFlags } from "./global-flags.ts";
import { withSession } from "./session.ts";

/** Flags of the commands that follow a deployment. */
export interface FollowFlags extends CommonFlags {
  waitTimeout?: string;
  wait: boolean;
}

/** The deployment to follow. */
export interface FollowTarget {
  deployment: number;
  consoleUrl: string;
  endpoint: string;
}

/**
 * Draws a deployment of the app `name` from its first event to its verdict. `begin` gives the deployment: it looks it up,
 * or makes it.
 */
export async function followDeployment(
  io: Io,
  name: string,
  flags: FollowFlags,
  begin: (session: { client: Client; scope: Scope }) => Promise<FollowTarget>,
): Promise<void> {
  const waitMs = flags.waitTimeout === undefined ? DEFAULT_WAIT_MS : milliseconds("--wait-timeout", flags.waitTimeout);
  const renderer = await deployRenderer(io, flags.output, flags.color);
  try {
    await withSession(besideProgress(io, renderer.progress), flags, async (session) => {
      const { client, scope } = session;
      const { deployment, consoleUrl, endpoint } = await begin(session);
      renderer.event({ type: "deploying", app: name, ...scope, consoleUrl, deployment });
      if (!flags.wait) {
        renderer.accepted({ app: name, ...scope, deployment, consoleUrl, endpoint });
        return;
      }
      const { follow } = await import("../../deploy/follow.ts");
      await draw((signal) => follow({ client, ref: { ...scope, name }, deployment, signal }), {
        renderer,
        signal: io.signal,
        waitMs,
        scope,
        accepted: { app: name, deployment },
      });
    });
    renderer.end();
  } finally {
    renderer.progress.stop();
  }
}
