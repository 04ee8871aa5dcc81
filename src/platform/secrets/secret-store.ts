import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, randomUUID } from "node:crypto";
import { LIMITS } from "../../contract/limits.ts";
import type { SecretInfo, SecretRequest, SecretScope } from "../../contract/types.ts";
import { isEnvironmentText } from "../../core/environment-text.ts";
import { Redacted } from "../../core/redacted.ts";
import type { PinnedSecret } from "../../engine/engine.ts";
import { notFound, type ProblemCode, ProblemError } from "../problem.ts";
import type { Database } from "../store/database.ts";

/** Project and domain that a request is about. */
export interface Place {
  project: string;
  domain: string;
}

/** Narrowest first: the order in which a name is looked up. */
const SCOPES: SecretScope[] = ["project", "domain", "organization"];

interface SecretRow {
  id: string;
  name: string;
  scope: SecretScope;
  project: string;
  domain: string;
  version: number;
  created_at: string;
  updated_at: string;
  bytes: number;
  binary: number;
  fingerprint: string;
}

const SELECT = `SELECT s.*, v.bytes, v.binary, v.fingerprint FROM secrets s
  JOIN secret_versions v ON v.secret_id = s.id AND v.version = s.version`;

/**
 * Secrets, encrypted with AES-256-GCM under the master key; each version's place in the table is authenticated with it, so
 * a row that is moved or exchanged does not decrypt. Versions are kept, because revisions pin them.
 */
export class SecretStore {
  readonly #db: Database;
  readonly #key: Buffer;
  readonly #fingerprintKey: Buffer;
  readonly #now: () => Date;

  /** `masterKey` has 32 bytes. */
  constructor(db: Database, masterKey: Redacted<Buffer>, now: () => Date) {
    this.#db = db;
    this.#now = now;
    this.#key = Buffer.from(hkdfSync("sha256", masterKey.reveal(), "", "appctl secret values", 32));
    this.#fingerprintKey = Buffer.from(hkdfSync("sha256", masterKey.reveal(), "", "appctl secret fingerprints", 32));
  }

  /** Stores a new secret; a name that is taken in that scope is a conflict. */
  create(place: Place, name: string, scope: SecretScope, value: Redacted<Buffer>, binary: boolean): SecretInfo {
    checkValue(name, value, binary);
    const where = scoped(scope, place);
    return this.#db.transaction(() => {
      if (this.#row(name, scope, where)) {
        throw new ProblemError("SECRET_EXISTS", `secret ${name} already exists ${describe(scope, place)}`, {
          hint: `to change its value: appctl update secret --name ${name}`,
        });
      }
      const now = this.#now().toISOString();
      const id = randomUUID();
      this.#db.run(
        "INSERT INTO secrets (id, name, scope, project, domain, version, created_at, updated_at) VALUES (?, ?, ?, ?, ?, 1, ?, ?)",
        ...[id, name, scope, where.project, where.domain, now, now],
      );
      this.#writeVersion(id, 1, value, binary, now);
      return this.get(place, name, scope);
    });
  }

  /** Adds a version to a secret. Revisions that run keep the version that they are pinned to. */
  update(place: Place, name: string, scope: SecretScope, value: Redacted<Buffer>, binary: boolean): SecretInfo {
    checkValue(name, value, binary);
    return this.#db.transaction(() => {
      const row = this.#row(name, scope, scoped(scope, place));
      if (!row) throw notFound(`secret ${name} ${describe(scope, place)}`, `appctl create secret --name ${name}`);
      const now = this.#now().toISOString();
      this.#writeVersion(row.id, row.version + 1, value, binary, now);
      this.#db.run("UPDATE secrets SET version = version + 1, updated_at = ? WHERE id = ?", now, row.id);
      return this.get(place, name, scope);
    });
  }

  /** A secret of that scope, or, without one, the narrowest that `place` sees. */
  get(place: Place, name: string, scope?: SecretScope): SecretInfo {
    const row = scope ? this.#row(name, scope, scoped(scope, place)) : this.#visible(place, name);
    if (!row) {
      throw notFound(
        `secret ${name} ${scope ? describe(scope, place) : `for project ${place.project} and domain ${place.domain}`}`,
        `appctl create secret --name ${name}`,
      );
    }
    return this.#info(row);
  }

  /** Every secret that `place` sees; one that a narrower scope hides is in the list too. */
  list(place: Place): SecretInfo[] {
    return this.#db
      .all<SecretRow>(
        `${SELECT} WHERE s.scope = 'organization' OR (s.scope = 'domain' AND s.domain = ?)
         OR (s.scope = 'project' AND s.project = ? AND s.domain = ?) ORDER BY s.name, s.scope DESC`,
        ...[place.domain, place.project, place.domain],
      )
      .map((row) => this.#info(row));
  }

  /** Removes a secret and all its versions. One that a running app is pinned to is a conflict. */
  delete(place: Place, name: string, scope?: SecretScope): void {
    this.#db.transaction(() => {
      const row = scope ? this.#row(name, scope, scoped(scope, place)) : this.#visible(place, name);
      if (!row) throw notFound(`secret ${name}`);
      const users = this.#usedBy(row.id);
      if (users.length > 0) {
        throw new ProblemError("SECRET_IN_USE", `secret ${name} is used by ${users.join(", ")}`, {
          hint: "delete these apps first, or deploy them without the secret",
        });
      }
      this.#db.run("DELETE FROM secrets WHERE id = ?", row.id);
    });
  }

  /** Pins what an app asks for to the versions of now. One error names all missing secrets and all values that do not fit. */
  pin(place: Place, requests: SecretRequest[]): { pinned: PinnedSecret[]; missing: string[]; unfit: string[] } {
    const pinned: PinnedSecret[] = [];
    const missing: string[] = [];
    const unfit: string[] = [];
    for (const request of requests) {
      const row = this.#visible(place, request.key);
      if (!row) {
        missing.push(request.key);
        continue;
      }
      if (request.mount === "env") {
        const reason = row.binary
          ? "holds bytes that no environment variable can hold"
          : row.bytes + request.envVar.length + 2 > LIMITS.variableBytes.value
            ? `has ${row.bytes} bytes, more than an environment variable can hold`
            : undefined;
        if (reason) unfit.push(`secret ${request.key} ${reason}: give the Secret mount: "file"`);
      }
      pinned.push({ ...request, id: row.id, version: row.version });
    }
    return { pinned, missing: [...new Set(missing)], unfit };
  }

  /** The exact bytes of one version. */
  read(id: string, version: number): Redacted<Buffer> {
    const row = this.#db.get<{ nonce: Uint8Array; ciphertext: Uint8Array; tag: Uint8Array }>(
      "SELECT nonce, ciphertext, tag FROM secret_versions WHERE secret_id = ? AND version = ?",
      ...[id, version],
    );
    if (!row) throw notFound(`version ${version} of a secret that this revision is pinned to`);
    const decipher = createDecipheriv("aes-256-gcm", this.#key, row.nonce);
    decipher.setAAD(Buffer.from(`${id}:${version}`));
    decipher.setAuthTag(row.tag);
    return new Redacted(Buffer.concat([decipher.update(row.ciphertext), decipher.final()]));
  }

  #writeVersion(id: string, version: number, value: Redacted<Buffer>, binary: boolean, now: string): void {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce);
    cipher.setAAD(Buffer.from(`${id}:${version}`));
    const bytes = value.reveal();
    const ciphertext = Buffer.concat([cipher.update(bytes), cipher.final()]);
    const fingerprint = createHmac("sha256", this.#fingerprintKey).update(bytes).digest("hex").slice(0, 16);
    this.#db.run(
      `INSERT INTO secret_versions (secret_id, version, nonce, ciphertext, tag, bytes, binary, fingerprint, created_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[id, version, nonce, ciphertext, cipher.getAuthTag(), bytes.length, binary ? 1 : 0, fingerprint, now],
    );
  }

  #row(name: string, scope: SecretScope, where: Place): SecretRow | undefined {
    return this.#db.get<SecretRow>(
      `${SELECT} WHERE s.name = ? AND s.scope = ? AND s.project = ? AND s.domain = ?`,
      ...[name, scope, where.project, where.domain],
    );
  }

  #visible(place: Place, name: string): SecretRow | undefined {
    for (const scope of SCOPES) {
      const row = this.#row(name, scope, scoped(scope, place));
      if (row) return row;
    }
    return undefined;
  }

  #usedBy(id: string): string[] {
    return this.#db
      .all<{ name: string }>(
        `SELECT DISTINCT a.project || '/' || a.domain || '/' || a.name AS name FROM apps a
         JOIN revisions r ON r.app_id = a.id AND (r.name = a.current_revision OR r.state = 'Pending')
         JOIN json_each(r.secrets) p WHERE json_extract(p.value, '$.id') = ? ORDER BY 1`,
        id,
      )
      .map((row) => row.name);
  }

  #info(row: SecretRow): SecretInfo {
    return {
      name: row.name,
      scope: row.scope,
      version: row.version,
      bytes: row.bytes,
      fingerprint: row.fingerprint,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
      usedBy: this.#usedBy(row.id),
    };
  }
}

function checkValue(name: string, value: Redacted<Buffer>, binary: boolean): void {
  const bytes = value.reveal();
  const fault = (code: ProblemCode, message: string, hint?: string) =>
    new ProblemError(code, `the value of secret ${name} ${message}`, hint === undefined ? {} : { hint });
  if (bytes.length === 0) throw fault("EMPTY_SECRET", "is empty");
  if (bytes.length > LIMITS.secretBytes.value)
    throw fault(
      "SECRET_TOO_LARGE",
      `has ${bytes.length} bytes; ${LIMITS.secretBytes.value / 1024 ** 2} MiB is the most`,
    );
  if (!binary && !isEnvironmentText(bytes)) {
    throw fault(
      "SECRET_NOT_TEXT",
      "has bytes that no environment variable can hold (a NUL, or bytes that are not UTF-8)",
      `mount it as a file: new Secret({ key: "${name}", mount: "file" }), and create it with --binary`,
    );
  }
}

/** What of a place belongs to a secret's identity in that scope. */
function scoped(scope: SecretScope, place: Place): Place {
  return {
    project: scope === "project" ? place.project : "",
    domain: scope === "organization" ? "" : place.domain,
  };
}

function describe(scope: SecretScope, place: Place): string {
  if (scope === "project") return `in project ${place.project} and domain ${place.domain}`;
  return scope === "domain" ? `in domain ${place.domain} of every project` : "in the organization";
}
