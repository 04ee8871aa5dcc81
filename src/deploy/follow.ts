/** A deployment from its first event to its verdict. */
import { join } from "node:path";
import type { Client } from "../client/client.ts";
import type { AppRef, DeploymentEvent, FailureCause } from "../contract/types.ts";
import { AppctlError, ExitCode } from "../core/errors.ts";
import type { DeployEvent } from "../core/events.ts";
import type { Trace } from "../core/trace.ts";

/** What {@link follow} needs. */
export interface FollowOptions {
  client: Client;
  ref: AppRef;
  deployment: number | "latest";
  /** Folder of the file that was deployed, relative to the working directory; places in failures are shown below it. */
  root?: string;
  signal: AbortSignal;
  trace?: Trace | undefined;
}

/** Joins a deployment: yields its events from the first to the verdict. Throws the cause when the deployment failed. */
export async function* follow(options: FollowOptions): AsyncGenerator<DeployEvent> {
  const { client, ref, signal, trace } = options;
  let since = trace?.now() ?? 0;
  const page = await client.deploymentEvents(ref, options.deployment, 0, signal);
  const { deployment } = page;
  for await (const event of client.follow(ref, deployment.id, 0, signal, page)) {
    if (event.type === "status") {
      since = trace?.since(`the platform: until ${event.reason || event.phase}`, since) ?? 0;
      yield { type: "status", phase: event.phase, reason: event.reason, message: event.message };
    } else if (event.type === "failed") throw failure(ref, event, options.root ?? "");
    else {
      yield {
        type: "succeeded",
        app: ref.name,
        endpoint: event.endpoint,
        revision: event.revision,
        image: event.image,
        digest: event.digest,
        consoleUrl: deployment.consoleUrl,
        unchanged: event.unchanged,
      };
    }
  }
}

function failure(ref: AppRef, event: Extract<DeploymentEvent, { type: "failed" }>, root: string): AppctlError {
  const { cause } = event;
  return new AppctlError({
    code: cause.code,
    exit: ExitCode.failed,
    message: `${ref.name} failed: ${cause.message}`,
    ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    ...(cause.location ? { location: { ...cause.location, file: join(root, cause.location.file) } } : {}),
    details: detailsOf(cause),
    next: [`appctl logs apps ${ref.name}`],
  });
}

function detailsOf(cause: FailureCause): string[] {
  const logs = cause.logs ?? [];
  return [
    ...(cause.stack ?? []),
    ...(logs.length > 0 ? ["", `Last lines of its output:`, ...logs.map(({ line }) => `  ${line}`)] : []),
  ];
}
