import type { ApiKeyInfo } from "../../contract/types.ts";
import { age } from "../../ui/age.ts";
import type { Io } from "../../ui/io.ts";
import { styleOf } from "../../ui/style.ts";
import { fieldLines } from "../../ui/table.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { printJson, printList } from "../shared/print.ts";
import { withSession } from "../shared/session.ts";

/** `appctl get api-key [NAME]`: never the key itself. */
export function getApiKey(io: Io, name: string | undefined, flags: CommonFlags): Promise<void> {
  return withSession(io, flags, async ({ client, next }) => {
    const now = io.now();
    const lastUsed = ({ lastUsedAt }: ApiKeyInfo) => (lastUsedAt === null ? "never" : `${age(lastUsedAt, now)} ago`);
    if (name !== undefined) {
      const key = await client.getApiKey(name);
      if (flags.output === "json") return printJson(io, key);
      const lines = fieldLines(
        [
          ["Name", key.name],
          ["Kind", key.kind],
          ["Key", key.hint],
          ["Created", `${age(key.createdAt, now)} ago`],
          ["Last used", lastUsed(key)],
        ],
        await styleOf(io.stdout, io.env, flags.color),
      );
      io.stdout.write(`${lines.join("\n")}\n`);
      return;
    }
    const keys = await client.listApiKeys();
    if (flags.output === "json") return printJson(io, { keys });
    await printList(
      io,
      flags,
      [
        { title: "NAME", value: (key: ApiKeyInfo) => key.name },
        { title: "KIND", value: (key) => key.kind },
        { title: "KEY", value: (key) => key.hint },
        { title: "AGE", spare: true, value: (key) => age(key.createdAt, now) },
        { title: "LAST USED", value: lastUsed },
      ],
      keys,
      `No API keys. To create one: ${next(["create", "admin-api-key", "--name", "NAME"])}`,
    );
  });
}
