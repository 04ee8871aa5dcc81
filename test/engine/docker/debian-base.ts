/** A base image as people have it: Debian with apt, and Node in it. It is made of Debian's own packages. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzip } from "../../../src/oci/archive/gzip.ts";
import type { OciLayout } from "../../../src/oci/layout.ts";
import { MediaType } from "../../../src/oci/model.ts";
import type { BaseLayer } from "./base-layer.ts";

/** What Debian's packages are signed with: a Debian has it. */
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Why this machine cannot make one; undefined when it can. */
export function noDebian(): string | undefined {
  if (process.getuid?.() !== 0) return "only root can make a Debian";
  if (!existsSync(KEYRING)) return `${KEYRING} is not there (debian-archive-keyring)`;
  return spawnSync("mmdebstrap", ["--version"]).error ? "mmdebstrap is not installed" : undefined;
}

/** Puts its one layer into the layout. Throws with what mmdebstrap said, such as that no mirror answers. */
export async function writeDebianLayer(layout: OciLayout): Promise<BaseLayer> {
  const dir = mkdtempSync(join(tmpdir(), "ae-debian-"));
  try {
    const file = join(dir, "root.tar");
    const { status, stderr } = spawnSync(
      "mmdebstrap",
      [
        ...["--quiet", "--variant=apt", "--include=libstdc++6"],
        ...["doc", "info", "locale", "man"].map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`),
        `--customize-hook=copy-in ${process.execPath} /usr/local/bin`,
        ...["bookworm", file],
      ],
      { encoding: "utf8" },
    );
    if (status !== 0) throw new Error(`mmdebstrap ended with ${status}:\n${stderr.slice(-4000)}`);
    const hash = createHash("sha256");
    async function* hashed() {
      for await (const chunk of createReadStream(file)) {
        hash.update(chunk);
        yield chunk;
      }
    }
    const blob = await layout.writeBlobStream(gzip(hashed(), 1));
    return { descriptor: { mediaType: MediaType.layer, ...blob }, diffId: `sha256:${hash.digest("hex")}` };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
