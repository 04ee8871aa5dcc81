import * as schemas from "../../contract/schemas.ts";
import { version } from "../../core/package-files.ts";
import { type ApiRequest, readBody } from "./context.ts";
import { openApiDocument } from "./openapi.ts";

/** That this is an appctl platform, which version, and, for a nonce, the proof of which one. Open to everyone. */
export function health({ query, services }: ApiRequest) {
  const nonce = query.get("nonce");
  const proof = nonce !== null && /^[0-9a-f]{16,128}$/.test(nonce) ? services.proof(nonce) : null;
  return { service: "appctl", version: version(), proof };
}

/** The OpenAPI document of this API. */
export function openapi({ services }: ApiRequest) {
  return openApiDocument(services.addresses.url);
}

/** How this platform runs. */
export function platform({ services }: ApiRequest) {
  return services.status();
}

/** Stops the platform; apps end gracefully and come back at its next start. */
export function stopPlatform({ services }: ApiRequest) {
  services.stop();
  return {};
}

/** A link that signs a browser in once. */
export async function consoleLink(request: ApiRequest): Promise<Response> {
  const { sessions, addresses } = request.services;
  const { path } = await readBody(request, schemas.ConsoleLinkRequest);
  const { token, expiresAt } = sessions.createLink(request.principal?.id ?? "", path);
  const body = { url: `${addresses.url}/console/sign-in?token=${token}`, expiresAt: expiresAt.toISOString() };
  return Response.json(body, { status: 201, headers: { "cache-control": "no-store" } });
}
