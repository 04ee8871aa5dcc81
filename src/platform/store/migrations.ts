/**
 * The schema of the platform's database. Each entry brings it one version up, forward only. An entry that was released is never
 * changed; a change is a new entry, and `test/platform/store/` gets a database that the code before it wrote.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE apps (
    id INTEGER PRIMARY KEY,
    project TEXT NOT NULL, domain TEXT NOT NULL, name TEXT NOT NULL,
    subdomain TEXT NOT NULL UNIQUE,
    current_revision TEXT,
    stopped INTEGER NOT NULL DEFAULT 0,
    deleting INTEGER NOT NULL DEFAULT 0,
    next_revision INTEGER NOT NULL DEFAULT 1,
    next_deployment INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    UNIQUE (project, domain, name)
  ) STRICT;

  CREATE TABLE revisions (
    app_id INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    image TEXT NOT NULL, digest TEXT NOT NULL,
    secrets TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('Pending', 'Ready', 'Failed')),
    created_at TEXT NOT NULL,
    PRIMARY KEY (app_id, name)
  ) STRICT;

  CREATE TABLE deployments (
    app_id INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    id INTEGER NOT NULL,
    revision TEXT NOT NULL,
    unchanged INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'succeeded', 'failed')),
    idempotency_key TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (app_id, id)
  ) STRICT;
  CREATE INDEX open_deployments ON deployments (app_id, id) WHERE state = 'open';

  CREATE TABLE events (
    app_id INTEGER NOT NULL, deployment INTEGER NOT NULL, seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (app_id, deployment, seq),
    FOREIGN KEY (app_id, deployment) REFERENCES deployments (app_id, id) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE secrets (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL, scope TEXT NOT NULL, project TEXT NOT NULL, domain TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    UNIQUE (name, scope, project, domain)
  ) STRICT;

  CREATE TABLE secret_versions (
    secret_id TEXT NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    nonce BLOB NOT NULL, ciphertext BLOB NOT NULL, tag BLOB NOT NULL,
    bytes INTEGER NOT NULL, binary INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (secret_id, version)
  ) STRICT;

  CREATE TABLE api_keys (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    created_at TEXT NOT NULL, last_used_at TEXT
  ) STRICT;
  `,
];
