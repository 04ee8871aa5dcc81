import type { ImageInfo } from "../../contract/types.ts";
import { age, bytesText } from "../../ui/age.ts";
import type { Io } from "../../ui/io.ts";
import type { Column } from "../../ui/table.ts";
import type { CommonFlags } from "../shared/global-flags.ts";
import { printJson, printList } from "../shared/print.ts";
import { withSession } from "../shared/session.ts";

/** `appctl images`: what the platform stores, and which revisions run it. */
export function listImages(io: Io, flags: CommonFlags): Promise<void> {
  return withSession(io, flags, async ({ client, next }) => {
    const images = await client.listImages();
    if (flags.output === "json") return printJson(io, { images });
    const deploy = next(["deploy", "apps", "FILE"]);
    await printList(io, flags, imageColumns(io.now()), images, `No images. A deploy makes one: ${deploy}`);
  });
}

/** The columns of `appctl images`. */
export function imageColumns(now: Date): Column<ImageInfo>[] {
  return [
    { title: "REPOSITORY", value: ({ repository }) => repository },
    { title: "TAG", value: ({ tag }) => tag },
    { title: "DIGEST", spare: true, value: ({ digest }) => digest.slice("sha256:".length, "sha256:".length + 12) },
    { title: "SIZE", spare: true, value: ({ size }) => (size === null ? "damaged" : bytesText(size)) },
    { title: "AGE", spare: true, value: ({ createdAt }) => (createdAt === null ? "-" : age(createdAt, now)) },
    { title: "USED BY", value: usersText },
  ];
}

/** The revision that serves, else the newest one; and how many more there are. */
function usersText({ revisions }: ImageInfo): string {
  const shown = revisions.find(({ active }) => active) ?? revisions[0];
  if (!shown) return "-";
  return revisions.length === 1 ? shown.revision : `${shown.revision} and ${revisions.length - 1} more`;
}
