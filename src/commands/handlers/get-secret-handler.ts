import type { SecretInfo } from "../../contract/types.ts";
import { age, bytesText } from "../../ui/age.ts";
import type { Io } from "../../ui/io.ts";
import { styleOf } from "../../ui/style.ts";
import { fieldLines } from "../../ui/table.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { missingPlace } from "../shared/new-place.ts";
import { placeText, printJson, printList } from "../shared/print.ts";
import { withSession } from "../shared/session.ts";
import { secretScope } from "./write-secret-handler.ts";

/** `appctl get secret [NAME]`: never a value. */
export function getSecret(io: Io, name: string | undefined, flags: CommonFlags & { scope?: string }): Promise<void> {
  const level = flags.scope === undefined ? undefined : secretScope(flags.scope);
  return withSession(io, flags, async ({ client, scope, next }) => {
    const now = io.now();
    if (name !== undefined) {
      const secret = await client.getSecret(scope, name, level);
      if (flags.output === "json") return printJson(io, secret);
      const style = await styleOf(io.stdout, io.env, flags.color);
      io.stdout.write(`${fieldLines(fieldsOf(secret, now), style).join("\n")}\n`);
      return;
    }
    const all = await client.listSecrets(scope);
    const secrets = level === undefined ? all : all.filter((secret) => secret.scope === level);
    const place = secrets.length === 0 ? await missingPlace(client, scope) : undefined;
    if (flags.output === "json") {
      if (place) io.stderr.write(`${place}\n`);
      return printJson(io, { secrets });
    }
    const create = next(["create", "secret", "--name", "NAME"]);
    await printList(
      io,
      flags,
      [
        { title: "NAME", value: (secret: SecretInfo) => secret.name },
        { title: "SCOPE", value: (secret) => secret.scope },
        { title: "VERSION", value: (secret) => String(secret.version) },
        { title: "SIZE", spare: true, value: (secret) => bytesText(secret.bytes) },
        { title: "FINGERPRINT", spare: true, value: (secret) => secret.fingerprint },
        { title: "AGE", value: (secret) => age(secret.updatedAt, now) },
        { title: "USED BY", value: (secret) => secret.usedBy.join(", ") || "-", min: 12 },
      ],
      secrets,
      `No secrets in ${placeText(scope)}${place ? `: ${place}` : ""}. To create one: ${create}`,
    );
  });
}

function fieldsOf(secret: SecretInfo, now: Date): [string, string][] {
  return [
    ["Name", secret.name],
    ["Scope", secret.scope],
    ["Version", String(secret.version)],
    ["Size", bytesText(secret.bytes)],
    ["Fingerprint", secret.fingerprint],
    ["Created", `${age(secret.createdAt, now)} ago`],
    ["Updated", `${age(secret.updatedAt, now)} ago`],
    ["Used by", secret.usedBy.join(", ") || "no running app"],
  ];
}
