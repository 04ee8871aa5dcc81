import { LIMITS } from "../../contract/limits.ts";
import { Names } from "../../contract/names.ts";
import * as schemas from "../../contract/schemas.ts";
import { wholeImage } from "../images/whole-image.ts";
import { notFound, ProblemError } from "../problem.ts";
import { type ApiRequest, check, readBody } from "./context.ts";

/** Which of the digests are not here yet. */
export async function missingBlobs(request: ApiRequest) {
  const { digests } = await readBody(request, schemas.DigestList);
  return { missing: await request.services.images.missing(digests) };
}

/** Takes a blob; its digest has to fit. */
export async function putBlob(request: ApiRequest): Promise<Response> {
  const digest = digestOf(request);
  if (!request.incoming) throw new ProblemError("NO_BODY", "the blob is missing");
  const descriptor = await request.services.images.writeBlobStream(request.incoming, digest, LIMITS.blobBytes.value);
  return Response.json({ mediaType: "application/octet-stream", ...descriptor }, { status: 201 });
}

/** The manifest that a reference (`name:tag`) names. */
export async function resolveImage({ query, services }: ApiRequest) {
  const reference = query.get("reference");
  if (!reference) throw new ProblemError("INVALID_INPUT", "reference: is missing");
  const descriptor = await services.images.resolve(reference);
  // An image with a lost part counts as missing, so the client builds it or sends it again.
  const isWhole = descriptor && (await wholeImage(services.images)(descriptor.digest).then(yes, no));
  if (!isWhole) throw notFound(`image ${reference}`);
  const { mediaType, digest, size } = descriptor;
  return { mediaType, digest, size };
}

const yes = () => true;
const no = () => false;

function digestOf({ params }: ApiRequest): string {
  return check(Names.digest, params["digest"], "digest");
}
