import type { AppStatus } from "../../contract/types.ts";
import { usageError } from "../../core/errors.ts";
import { age } from "../../ui/age.ts";
import type { Io } from "../../ui/io.ts";
import { PLAIN, type Style, styleOf } from "../../ui/style.ts";
import { type Column, fieldLines, tableLines } from "../../ui/table.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { missingPlace } from "../shared/new-place.ts";
import { placeText, printJson, printList, widthOf } from "../shared/print.ts";
import { withSession } from "../shared/session.ts";

/** `appctl get apps [NAME]`: a table of all, or everything about one. */
export function getApps(io: Io, name: string | undefined, flags: CommonFlags): Promise<void> {
  return withSession(io, flags, async ({ client, scope, next }) => {
    if (name !== undefined) {
      const app = await client.getApp({ ...scope, name });
      if (flags.output === "json") printJson(io, app);
      else if (flags.output === "url") io.stdout.write(`${app.endpoint.replace(/\/+$/, "")}\n`);
      else
        io.stdout.write(
          `${appLines(app, io.now(), await styleOf(io.stdout, io.env, flags.color), widthOf(io)).join("\n")}\n`,
        );
      return;
    }
    if (flags.output === "url") throw usageError("-o url is for one app", { hint: "appctl get apps NAME -o url" });
    const apps = await client.listApps(scope);
    const place = apps.length === 0 ? await missingPlace(client, scope) : undefined;
    if (flags.output === "json") {
      if (place) io.stderr.write(`${place}\n`);
      return printJson(io, { apps });
    }
    const style = await styleOf(io.stdout, io.env, flags.color);
    const deploy = next(["deploy", "apps", "FILE"]);
    const ifEmpty = `No apps in ${placeText(scope)}${place ? `: ${place}` : ""}. To deploy one: ${deploy}`;
    await printList(io, flags, columns(io.now(), style), apps, ifEmpty);
  });
}

function columns(now: Date, style: Style): Column<AppStatus>[] {
  return [
    { title: "NAME", value: ({ name }) => name },
    { title: "STATUS", value: ({ status }) => status, paint: (text, { status }) => paintStatus(text, status, style) },
    { title: "REVISION", value: ({ revision }) => revision ?? "-", short: ({ revision }) => numberOf(revision) },
    { title: "REPLICAS", spare: true, value: ({ replicas }) => readyText(replicas) },
    { title: "AGE", spare: true, value: ({ updatedAt }) => age(updatedAt, now) },
    { title: "ENDPOINT", value: ({ endpoint }) => endpoint },
  ];
}

/** The number of a revision, by which its name ends. */
function numberOf(revision: string | null): string {
  return revision?.slice(revision.lastIndexOf("-") + 1) ?? "-";
}

function paintStatus(text: string, status: AppStatus["status"], style: Style): string {
  if (status === "Running") return style.green(text);
  if (status === "Failed" || status === "Crashing") return style.red(text);
  return status === "Deploying" ? style.yellow(text) : style.dim(text);
}

function readyText(replicas: AppStatus["replicas"]): string {
  return `${replicas.filter(({ state }) => state === "Ready").length}/${replicas.length}`;
}

/** Everything about an app, as lines. */
export function appLines(app: AppStatus, now: Date, style: Style = PLAIN, width?: number): string[] {
  const lines = fieldLines(
    [
      ["Name", app.name],
      ["Status", app.message ? `${app.status}: ${app.message}` : app.status],
      ["Endpoint", app.endpoint],
      ["Access", app.requiresAuth ? "gateway requires a key" : "public: the gateway asks for no key"],
      ["Console", app.consoleUrl],
      ["Revision", app.revision ?? "none serves yet"],
      ["Image", app.image ?? undefined],
      ["Digest", app.digest ?? undefined],
      ["Description", app.description ?? undefined],
      ["Created", `${age(app.createdAt, now)} ago`],
      ["Updated", `${age(app.updatedAt, now)} ago`],
    ],
    style,
  );
  if (app.replicas.length === 0) return lines;
  const replicas = tableLines(
    [
      { title: "REPLICA", value: ({ name }) => name },
      { title: "STATE", value: ({ state }) => state },
      { title: "REVISION", value: ({ revision }) => revision },
      { title: "RESTARTS", value: ({ restarts }) => String(restarts) },
      { title: "AGE", value: ({ startedAt }) => (startedAt === null ? "-" : age(startedAt, now)) },
      { title: "LAST EXIT", value: ({ lastExit }) => lastExit ?? "-" },
    ],
    app.replicas,
    width,
    style,
  );
  return [...lines, "", ...replicas];
}
