/** What ships in an app image, as a CycloneDX 1.6 document (ECMA-424, JSON form). Equal content gives equal bytes. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { canonicalJson } from "../oci/model.ts";
import {
  DEPENDENCY_KINDS,
  entriesFor,
  type LockEntry,
  locatePackage,
  type PackageLock,
  packageName,
} from "../packages/lockfiles/package-lock.ts";
import type { NpmTarget } from "../packages/npm-target.ts";

/** Media type of a bill of materials in JSON, and the type of the artifact that carries it. */
export const BOM_TYPE = "application/vnd.cyclonedx+json";

/** A package of the bill. `purl` (package-url) is its name in it. */
export interface BomComponent {
  type: "library";
  "bom-ref": string;
  group?: string;
  name: string;
  version: string;
  purl: string;
  /** Of the registry's tarball, in hex. */
  hashes?: { alg: string; content: string }[];
  /** `appctl:layer`: `app` for code inside the bundle, `packages` for what is installed; one for each that has it. */
  properties: { name: "appctl:layer"; value: "app" | "packages" }[];
}

/** A bill of materials. */
export interface BillOfMaterials {
  $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json";
  bomFormat: "CycloneDX";
  specVersion: "1.6";
  /** `urn:uuid:` and a UUID that is made of the content, since the time and chance have no place in an image. */
  serialNumber: string;
  version: 1;
  metadata: {
    tools: { components: { type: "application"; name: "appctl" }[] };
    component: { type: "application"; "bom-ref": string; name: string };
  };
  components: BomComponent[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

/**
 * The bill of the app `name`: `contents` are the packages with code in its bundle, as the bundler's own record of the inputs
 * has them; `lock` is that of the packages layer, of which what belongs on `platform` counts.
 */
export function billOfMaterials(of: {
  name: string;
  contents: readonly { name: string; version: string }[];
  lock: PackageLock;
  platform: NpmTarget;
}): BillOfMaterials {
  const components = new Map<string, BomComponent>();
  const edges = new Map<string, Set<string>>();
  const add = (name: string, version: string, layer: "app" | "packages", integrity?: string) => {
    const purl = purlOf(name, version);
    const known = components.get(purl) ?? componentOf(name, version, purl);
    if (!known.properties.some(({ value }) => value === layer))
      known.properties.push({ name: "appctl:layer", value: layer });
    const hashes = hashesOf(integrity ?? "");
    if (hashes.length > 0) known.hashes ??= hashes;
    components.set(purl, known);
    return purl;
  };
  const root = of.name;
  edges.set(root, new Set(of.contents.map(({ name, version }) => add(name, version, "app"))));
  const installed = new Map(entriesFor(of.lock, of.platform));
  const purls = new Map<string, string>();
  for (const [path, entry] of installed) {
    purls.set(path, add(packageName(path, entry), entry.version ?? "", "packages", entry.integrity));
  }
  const link = (ref: string, from: string, entry: LockEntry) => {
    const known = edges.get(ref) ?? new Set();
    for (const kind of DEPENDENCY_KINDS) {
      for (const name of Object.keys(entry[kind] ?? {})) {
        const purl = purls.get(locatePackage(of.lock.packages, from, name) ?? "");
        if (purl !== undefined) known.add(purl);
      }
    }
    edges.set(ref, known);
  };
  link(root, "", of.lock.packages[""] ?? {});
  for (const [path, entry] of installed) link(purls.get(path) ?? "", path, entry);
  const body: Omit<BillOfMaterials, "serialNumber"> = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      tools: { components: [{ type: "application", name: "appctl" }] },
      component: { type: "application", "bom-ref": root, name: of.name },
    },
    components: [...components.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1)),
    dependencies: [...new Set([root, ...components.keys()])]
      .map((ref) => ({ ref, dependsOn: [...(edges.get(ref) ?? [])].sort() }))
      .sort((a, b) => (a.ref < b.ref ? -1 : 1)),
  };
  return { ...body, serialNumber: `urn:uuid:${uuidOf(canonicalJson(body))}` };
}

function componentOf(name: string, version: string, purl: string): BomComponent {
  const [scope, rest] = name.startsWith("@") ? name.split("/") : [];
  const named = scope && rest ? { group: scope, name: rest } : { name };
  return { type: "library", "bom-ref": purl, ...named, version, purl, properties: [] };
}

/** The package-url of an npm package (purl-spec, types/npm): the scope is the namespace, and its @ is escaped. */
function purlOf(name: string, version: string): string {
  const path = name.split("/").map(encodeURIComponent).join("/");
  return `pkg:npm/${path}@${encodeURIComponent(version)}`;
}

const ALGORITHMS: Record<string, string> = { sha512: "SHA-512", sha384: "SHA-384", sha256: "SHA-256", sha1: "SHA-1" };

/** Subresource integrity (`sha512-<base64>`, several divided by spaces) in the words of CycloneDX. */
function hashesOf(integrity: string): { alg: string; content: string }[] {
  return integrity.split(/\s+/).flatMap((part) => {
    const [, algorithm = "", base64 = ""] = /^(\w+)-([A-Za-z0-9+/=]+)/.exec(part) ?? [];
    const alg = ALGORITHMS[algorithm];
    return alg === undefined ? [] : [{ alg, content: Buffer.from(base64, "base64").toString("hex") }];
  });
}

/** A UUID of version 8 (RFC 9562): made in a way of our own, of a hash of `text`. */
function uuidOf(text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
