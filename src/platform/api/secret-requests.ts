import { Names } from "../../contract/names.ts";
import * as schemas from "../../contract/schemas.ts";
import type { SecretScope } from "../../contract/types.ts";
import { Redacted } from "../../core/redacted.ts";
import { ProblemError } from "../problem.ts";
import { type ApiRequest, check, placeOf, readBody } from "./context.ts";

/** Every secret that this project and domain sees; never a value. */
export function listSecrets(request: ApiRequest) {
  return { secrets: request.services.secrets.list(placeOf(request)) };
}

/** Stores a new secret. */
export async function createSecret(request: ApiRequest): Promise<Response> {
  const { name, scope, value, binary } = await readBody(request, schemas.SecretWrite);
  const bytes = new Redacted(Buffer.from(value, "base64"));
  const info = request.services.secrets.create(placeOf(request), name, scope, bytes, binary ?? false);
  return Response.json(info, { status: 201 });
}

/** What the API shows of a secret. */
export function getSecret(request: ApiRequest) {
  return request.services.secrets.get(placeOf(request), nameOf(request), scopeIn(request));
}

/** Adds a version to a secret. */
export async function updateSecret(request: ApiRequest) {
  const { name, scope, value, binary } = await readBody(request, schemas.SecretWrite);
  if (name !== nameOf(request)) throw new ProblemError("INVALID_INPUT", "name: is not the name in the path");
  const bytes = new Redacted(Buffer.from(value, "base64"));
  return request.services.secrets.update(placeOf(request), name, scope, bytes, binary ?? false);
}

/** Removes a secret. */
export function deleteSecret(request: ApiRequest) {
  request.services.secrets.delete(placeOf(request), nameOf(request), scopeIn(request));
  return {};
}

function nameOf({ params }: ApiRequest): string {
  return check(Names.secretName, params["name"], "name");
}

function scopeIn({ query }: ApiRequest): SecretScope | undefined {
  const scope = query.get("scope");
  return scope === null ? undefined : check(schemas.SecretScope, scope, "scope");
}
