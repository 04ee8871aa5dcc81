/**
 * Records a database as the code of today writes it: `node test/platform/store/record.ts v2.db`. Run it before a migration is
 * added, so that the next code is tested with what this one wrote. Its master key is `MASTER_KEY`.
 */
import { Buffer } from "node:buffer";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Redacted } from "../../../src/core/redacted.ts";
import { EventLog } from "../../../src/platform/apps/event-log.ts";
import { KeyStore } from "../../../src/platform/keys/key-store.ts";
import { SecretStore } from "../../../src/platform/secrets/secret-store.ts";
import { AppStore } from "../../../src/platform/store/app-store.ts";
import { Database } from "../../../src/platform/store/database.ts";
import { specOf } from "../../engine/helpers.ts";

/** The key of the recorded secrets, which are nobody's. */
export const MASTER_KEY = new Redacted(Buffer.alloc(32, 7));
const now = () => new Date(Date.UTC(2026, 11, 1));

if (import.meta.main) {
  const file = join(import.meta.dirname, process.argv[2] as string);
  const working = `${file}.writing`;
  const db = new Database(working);
  const apps = new AppStore(db, now);
  const app = apps.create({ project: "default", domain: "development", name: "web" }, "calm-sea-00000");
  const secrets = new SecretStore(db, MASTER_KEY, now);
  const place = { project: "default", domain: "development" };
  secrets.create(place, "TOKEN", "project", new Redacted(Buffer.from("first value")), false);
  const { pinned } = secrets.pin(place, [{ key: "TOKEN", envVar: "TOKEN", mount: "env" }]);
  secrets.update(place, "TOKEN", "project", new Redacted(Buffer.from("second value")), false);
  const content = { spec: specOf(), image: "web-image:1", digest: `sha256:${"1".repeat(64)}`, secrets: pinned };
  const revision = apps.createRevision(app, { ...content, fingerprint: "f" });
  apps.setRevisionState(app.id, revision.name, "Ready");
  apps.update(app.id, { currentRevision: revision.name });
  const deployment = apps.createDeployment(app, revision.name, false, "key-1");
  const status = { type: "status", phase: "Pending", reason: "", message: "App is pending deployment" } as const;
  new EventLog(apps).append(deployment, [status], () => apps.closeDeployment(deployment, "succeeded"));
  new KeyStore(db, now).create("ci", "http://localhost:7654");
  db.close();
  const copy = new DatabaseSync(working);
  copy.prepare("VACUUM INTO ?").run(file);
  copy.close();
  for (const suffix of ["", "-wal", "-shm"]) rmSync(working + suffix, { force: true });
}
