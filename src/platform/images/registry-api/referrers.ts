import type { OciLayout } from "../../../oci/layout.ts";
import { type Descriptor, hexOf, isDigest, jsonBytes, MediaType } from "../../../oci/model.ts";
import { isDescriptor } from "../../../oci/shapes.ts";

/** The last change of a list of referrers in each store: the next one begins when it has ended, and so loses nothing. */
const changes = new WeakMap<OciLayout, Promise<void>>();

/**
 * Lists `referrer` as an artifact about `subject`. The list is the index that the specification has for registries without
 * this API, under the tag `sha256-<hex>`: a reader of the layout finds it, too.
 */
export function addReferrer(layout: OciLayout, name: string, subject: string, referrer: Descriptor): Promise<void> {
  const add = async () => {
    const others = (await listed(layout, name, subject)).filter(({ digest }) => digest !== referrer.digest);
    const index = { schemaVersion: 2, mediaType: MediaType.index, manifests: [...others, referrer] };
    const stored = await layout.writeBlob(jsonBytes(index));
    await layout.tag(referenceFor(name, subject), { mediaType: MediaType.index, ...stored });
  };
  const change = (changes.get(layout) ?? Promise.resolve()).then(add);
  changes.set(
    layout,
    change.catch(() => undefined),
  );
  return change;
}

/** The artifacts about `subject`, those of one type if the query names it. None is an answer, not an error. */
export async function listReferrers(
  layout: OciLayout,
  name: string,
  subject: string,
  query: URLSearchParams,
): Promise<Response> {
  const type = query.get("artifactType");
  const all = await listed(layout, name, subject);
  const here = await Promise.all(all.map(({ digest }) => layout.hasBlob(digest)));
  const manifests = all.filter((each, index) => here[index] && (type === null || each.artifactType === type));
  const headers = {
    "content-type": MediaType.index,
    ...(type === null ? {} : { "oci-filters-applied": "artifactType" }),
  };
  return new Response(JSON.stringify({ schemaVersion: 2, mediaType: MediaType.index, manifests }), { headers });
}

async function listed(layout: OciLayout, name: string, subject: string): Promise<Descriptor[]> {
  const found = await layout.resolve(referenceFor(name, subject));
  if (found?.mediaType !== MediaType.index || !(await layout.hasBlob(found.digest, found.size))) return [];
  const { manifests } = await layout.readJson<{ manifests?: unknown }>(found.digest);
  return Array.isArray(manifests) ? manifests.filter((each) => isDescriptor(each) && isDigest(each.digest)) : [];
}

const referenceFor = (name: string, subject: string) => `${name}:sha256-${hexOf(subject)}`;
