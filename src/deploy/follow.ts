/** A deployment from its first event to its verdict. */
import { realpathSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { displayPath } from "../bundle/display-path.ts";
import type { Client } from "../client/client.ts";
import type { AppRef, FailureCause } from "../contract/types.ts";
import { commandLine } from "../core/command-line.ts";
import { AppctlError, withDeployFacts } from "../core/errors.ts";
import type { DeployEvent } from "../core/events.ts";
import type { Trace } from "../core/trace.ts";
import { exitOfCause } from "../engine/causes.ts";

/** What {@link follow} needs. */
export interface FollowOptions {
  client: Client;
  ref: AppRef;
  deployment: number | "latest";
  /** Folder of the file that was deployed, and the working directory: places in failures are shown relative to that. */
  project?: { root: string; cwd: string };
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
    } else if (event.type === "failed") {
      const { app, project, domain, id, consoleUrl } = deployment;
      const { revision, serving } = event;
      const facts = { app, project, domain, revision, deployment: id, consoleUrl, serving };
      throw withDeployFacts(failure(ref, event.cause, options.project), facts);
    } else {
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

function failure(ref: AppRef, cause: FailureCause, project: FollowOptions["project"]): AppctlError {
  const { code, message, hint, location, stack = [], logs = [] } = cause;
  return new AppctlError({
    code,
    exit: exitOfCause(code),
    message: `${ref.name} failed: ${inProject(message, project)}`,
    ...(hint === undefined ? {} : { hint }),
    ...(location ? { location: { ...location, file: fileInProject(location.file, project) } } : {}),
    frames: stack.map((frame) => inProject(frame, project)),
    logs: logs.map((log) => ({ ...log, line: inProject(log.line, project) })),
    next: [commandLine(["logs", "apps", ref.name], ref)],
  });
}

/** The file of a place: in brackets, or behind `at`. */
const PLACE = /(?<=\()[^()\n]+(?=:\d+:\d+\)$)|(?<=^\s*at (?:async )?)[^()\n]+(?=:\d+:\d+$)/gm;

/** `text` with the places in it (`(app.ts:3:12)`) relative to the working directory. */
function inProject(text: string, project: FollowOptions["project"]): string {
  return text.replace(PLACE, (file) => fileInProject(file, project));
}

/** A file of the content, relative to the folder of the deployed file, as the user would type it. */
function fileInProject(file: string, project: FollowOptions["project"]): string {
  if (!project || isAbsolute(file) || file.startsWith("node_modules/")) return file;
  return displayPath(join(project.root, file), realpathSync(project.cwd));
}
