import { LIMITS } from "../../contract/limits.ts";
import { Names } from "../../contract/names.ts";
import * as schemas from "../../contract/schemas.ts";
import { ProblemError } from "../problem.ts";
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

function digestOf({ params }: ApiRequest): string {
  return check(Names.digest, params["digest"], "digest");
}
