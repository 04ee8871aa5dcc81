import { Names } from "../../contract/names.ts";
import * as schemas from "../../contract/schemas.ts";
import { Redacted } from "../../core/redacted.ts";
import { ProblemError } from "../problem.ts";
import { type ApiRequest, check, readBody } from "./context.ts";

/** Every API key; never the key itself. */
export function listApiKeys({ services }: ApiRequest) {
  return { keys: services.keys.list() };
}

/** Makes a key, shows it once and, when asked, stores it as a secret: both or neither. */
export async function createApiKey(request: ApiRequest): Promise<Response> {
  const { keys, secrets, addresses, store } = request.services;
  const { name, secret } = await readBody(request, schemas.ApiKeyCreate);
  const { info, key } = made(request, () =>
    store.transaction(() => {
      const created = keys.create(name, addresses.url);
      if (secret) {
        const bytes = new Redacted(Buffer.from(created.key.reveal()));
        secrets.create(secret, secret.name, "project", bytes, false);
      }
      return created;
    }),
  );
  const body = { ...info, key: key.reveal(), storedAs: secret?.name ?? null };
  return Response.json(body, { status: 201, headers: { "cache-control": "no-store" } });
}

/** Runs `create`; when it fails, the keys in memory are those in the database again. */
function made<T>({ services }: ApiRequest, create: () => T): T {
  try {
    return create();
  } catch (error) {
    services.keys.reload();
    if (error instanceof ProblemError && error.problem.code === "SECRET_EXISTS") {
      throw new ProblemError("SECRET_EXISTS", `${error.message}, so no key was created`, {
        hint: "use another name, delete the secret first (appctl delete secret NAME), or pass --no-secret",
      });
    }
    throw error;
  }
}

/** What the API shows of a key. */
export function getApiKey(request: ApiRequest) {
  return request.services.keys.get(nameOf(request));
}

/** Revokes a key. */
export function deleteApiKey(request: ApiRequest) {
  request.services.keys.delete(nameOf(request));
  return {};
}

function nameOf({ params }: ApiRequest): string {
  return check(Names.secretName, params["name"], "name");
}
