/** The operating system and processor that an image is for, as OCI and Go write them. */
export interface OciTarget {
  os: string;
  architecture: string;
  variant?: string;
}

/** What Linux images of Node exist for, and how else these architectures are written. */
const VARIANTS: Record<string, { variant?: string; also?: readonly string[] }> = {
  amd64: {},
  arm64: { also: ["v8"] },
  arm: { variant: "v7" },
  ppc64le: {},
  riscv64: {},
  s390x: {},
};

/** Every target that an image can have, as text. */
export const TARGETS: readonly string[] = Object.entries(VARIANTS).map(([architecture, { variant }]) =>
  targetText({ os: "linux", architecture, ...(variant === undefined ? {} : { variant }) }),
);

/** Reads `linux/amd64`, `linux/arm64/v8`: undefined for anything that images are not made for. */
export function parseTarget(text: string): OciTarget | undefined {
  const [os, architecture = "", variant, ...more] = text.split("/");
  const known = Object.hasOwn(VARIANTS, architecture) ? VARIANTS[architecture] : undefined;
  if (os !== "linux" || known === undefined || more.length > 0) return undefined;
  if (variant !== undefined && variant !== known.variant && !known.also?.includes(variant)) return undefined;
  return { os, architecture, ...(known.variant === undefined ? {} : { variant: known.variant }) };
}

/** `linux/arm/v7`. */
export function targetText({ os, architecture, variant }: OciTarget): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join("/");
}
