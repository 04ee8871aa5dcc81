/** What an image is for, in npm's words: an operating system, a processor and a libc. OCI's words are in `oci/target.ts`. */
import { existsSync } from "node:fs";
import { arch, endianness, platform } from "node:os";
import { type OciTarget, targetText } from "../oci/target.ts";

/** A target in npm's words (`process.platform`, `process.arch`, `glibc` | `musl` on Linux only). */
export interface NpmTarget {
  os: string;
  cpu: string;
  libc?: "glibc" | "musl";
}

/** The target of this machine. */
export function hostTarget(): NpmTarget {
  const os = platform();
  if (os !== "linux") return { os, cpu: arch() };
  // The dynamic loader of musl has a fixed path; asking Node's report for the libc takes 20 times as long.
  const musl = ["x86_64", "aarch64", "armhf", "armv7", "i386", "riscv64", "s390x", "powerpc64le"].some((machine) =>
    existsSync(`/lib/ld-musl-${machine}.so.1`),
  );
  return { os, cpu: arch(), libc: musl && !existsSync("/lib64/ld-linux-x86-64.so.2") ? "musl" : "glibc" };
}

const GO_ARCH: Record<string, string> = {
  x64: "amd64",
  ia32: "386",
  ppc64: "ppc64le",
  mipsel: "mipsle",
  loong64: "loong64",
};

/** The same target in Go's words, which OCI uses: `{ os: "linux", architecture: "amd64" }`. */
export function ociTarget(of: NpmTarget): OciTarget {
  const os = of.os === "win32" ? "windows" : of.os;
  if (of.cpu === "ppc64" && endianness() === "BE") return { os, architecture: "ppc64" };
  // Node has no builds for less than ARMv7; OCI's default for arm64 is v8, which is left out.
  if (of.cpu === "arm") return { os, architecture: "arm", variant: "v7" };
  return { os, architecture: GO_ARCH[of.cpu] ?? of.cpu };
}

/** `linux/amd64`: a target in OCI's words, as text. */
export function targetName(of: NpmTarget): string {
  return targetText(ociTarget(of));
}

/** A target of OCI in npm's words, with the libc that its images have. */
export function npmTarget({ os, architecture }: OciTarget, libc: "glibc" | "musl"): NpmTarget {
  const cpu = Object.entries(GO_ARCH).find(([, name]) => name === architecture)?.[0] ?? architecture;
  return os === "linux" ? { os, cpu, libc } : { os: os === "windows" ? "win32" : os, cpu };
}
