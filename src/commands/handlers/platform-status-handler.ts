import { Client } from "../../client/client.ts";
import { awaitLocalPlatform } from "../../client/local-platform.ts";
import type { PlatformStatus } from "../../contract/types.ts";
import { resolveConfig } from "../../core/config.ts";
import { AppctlError, ExitCode } from "../../core/errors.ts";
import { pathsOf } from "../../core/paths.ts";
import { age } from "../../ui/age.ts";
import type { Io } from "../../ui/io.ts";
import { styleOf } from "../../ui/style.ts";
import { fieldLines } from "../../ui/table.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { printJson } from "../shared/print.ts";
import { tilde } from "../shared/session.ts";

/** `appctl platform status`: of the platform that commands go to. Starts nothing; exit 6 when none runs. */
export async function platformStatus(io: Io, flags: CommonFlags): Promise<void> {
  const status = await ask(io, flags);
  if (flags.output === "json") return printJson(io, status);
  const fields: [string, string][] = [
    ["URL", status.url],
    ["Version", `${status.version} (Node ${status.node.replace(/^v/, "")})`],
    ["PID", String(status.pid)],
    ...supervisorFields(status, io.now()),
    ["Engine", `${status.engine}, runtime ${status.runtime}`],
    ["Apps", String(status.apps)],
    ["CPU limit", status.limits.cpu],
    ["Memory limit", status.limits.mem],
    ["Process limit", status.limits.tasks],
    ["Storage limit", status.limits.storage],
    ["Isolation", status.isolation],
    ["State", tilde(status.stateDirectory, io.env)],
    ["Started", `${age(status.startedAt, io.now())} ago`],
  ];
  io.stdout.write(`${fieldLines(fields, await styleOf(io.stdout, io.env, flags.color)).join("\n")}\n`);
}

function supervisorFields(status: PlatformStatus, now: Date): [string, string][] {
  const { supervisorPid, supervisorVersion, gatewayPids = [], restarts = [] } = status;
  if (supervisorPid === undefined) return [];
  const last = restarts.at(-1);
  const isOlder = supervisorVersion !== status.version;
  return [
    ["Supervisor PID", `${supervisorPid}${isOlder ? ` (appctl ${supervisorVersion}, until platform stop)` : ""}`],
    ["Gateway PIDs", gatewayPids.join(", ")],
    ["Restarts", last ? `${restarts.length} (last ${age(last.at, now)} ago: ${last.process}, ${last.reason})` : "0"],
  ];
}

async function ask(io: Io, flags: CommonFlags): Promise<PlatformStatus> {
  const config = await resolveConfig(flags, io.env, io.cwd);
  const local = config.apiKey ? undefined : await awaitLocalPlatform(io.env);
  if (!config.apiKey && !local) {
    throw new AppctlError({
      code: "PLATFORM_NOT_RUNNING",
      exit: ExitCode.unavailable,
      message: `the local platform is not running (state in ${tilde(pathsOf(io.env).state, io.env)})`,
      hint: "the first command that needs it starts it",
      next: ["appctl platform start"],
    });
  }
  const client = local
    ? new Client({ endpoint: local.endpoint, apiKey: local.apiKey })
    : new Client({ endpoint: config.endpoint as string, apiKey: config.apiKey });
  try {
    return await client.platform();
  } finally {
    await client.close();
  }
}
