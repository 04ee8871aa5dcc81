/** The named points at which the platform, or a replica, is killed. */
import { DatabaseSync } from "node:sqlite";
import type { Condition, WantedApp } from "../../src/engine/engine.ts";
import { AppSupervisor } from "../../src/engine/local/app-supervisor.ts";
import { ConditionBoard } from "../../src/engine/local/condition-board.ts";
import { EstablishedRevisions } from "../../src/engine/local/established.ts";
import { ReplicaLedger } from "../../src/engine/local/process/ledger.ts";
import { RevisionRun } from "../../src/engine/local/revision-run.ts";
import { OciLayout } from "../../src/oci/layout.ts";
import { Deployer } from "../../src/platform/apps/deployer.ts";
import { ProofOfLive } from "../../src/platform/apps/proof-of-live.ts";
import { SecretStore } from "../../src/platform/secrets/secret-store.ts";
import { PlatformServer } from "../../src/platform/server.ts";
import { AppStore, type NewEvent } from "../../src/platform/store/app-store.ts";
import { Database } from "../../src/platform/store/database.ts";
import {
  after,
  afterFile,
  afterFilePromise,
  before,
  beforeFile,
  beforeFilePromise,
  commit,
  following,
  spawning,
  type Trap,
} from "./traps.ts";

const isUpdate = (wanted: WantedApp) => wanted.revisions.length === 2;
const isAlone = (wanted: WantedApp) => wanted.revisions.length === 1;
const becomes = (reason: string) => (condition: Condition) => condition.reason === reason;
const serves = (condition: Condition) => condition.ready === "True";
const logs = (reason: string) => (_: unknown, event: NewEvent) => event.type === "status" && event.reason === reason;
const isVerdict = (_: unknown, event: NewEvent) => event.type === "succeeded";
/** The folder of an unpacked image: below the state, or where the apps of a platform of root are. */
const UNPACKED = /\/(?:content|apps\/[^/]+)\/[0-9a-f]{64}$/;
const hasPid = (record: { pid?: number }) => record.pid !== undefined;
const hasNoPid = (record: { pid?: number }) => record.pid === undefined;
const saysThatItServes = following(after(EstablishedRevisions, "add"), after(ConditionBoard, "set", serves));
const firstChunk: Trap = (spring) => {
  const original = OciLayout.prototype.writeBlobStream;
  OciLayout.prototype.writeBlobStream = function (source, ...rest) {
    async function* watched() {
      for await (const chunk of source) {
        yield chunk;
        spring();
      }
    }
    return original.call(this, watched(), ...rest);
  };
};

/** Points of an update of an app that serves, in their order. The platform kills itself there. */
export const platformPoints: Record<string, Trap> = {
  "the check arrives": before(SecretStore, "pin"),
  "the parts of the image are looked for": before(OciLayout, "missing"),
  "the first bytes of a blob are written": firstChunk,
  "a blob is whole, but has no name yet": beforeFilePromise("rename", /images\/blobs\/sha256\//),
  "a blob has its name": afterFilePromise("rename", /images\/blobs\/sha256\//),
  "the image is about to be tagged": beforeFile("renameSync", /images\/index\.json$/),
  "the image is tagged, and nobody knows": afterFile("renameSync", /images\/index\.json$/),
  "a deploy arrives": before(Deployer, "accept"),
  "the revision is written, not committed": after(AppStore, "createRevision"),
  "the deployment is written, not committed": after(AppStore, "createDeployment"),
  "the deploy is about to be committed": commit("before", after(AppStore, "createDeployment")),
  "the deploy is committed": commit("after", after(AppStore, "createDeployment")),
  "the deploy is accepted, not answered": after(Deployer, "accept"),
  "the engine is about to be told": before(AppSupervisor, "apply", isUpdate),
  "the engine is told": after(AppSupervisor, "apply", isUpdate),
  "the status TrafficNotMigrated is written": after(AppStore, "appendEvent", logs("TrafficNotMigrated")),
  "the image is unpacked, but has no name yet": beforeFilePromise("rename", UNPACKED),
  "the image is unpacked": afterFilePromise("rename", UNPACKED),
  "the replica's record is about to be written": before(ReplicaLedger, "write", hasNoPid),
  "the replica's record is written": after(ReplicaLedger, "write", hasNoPid),
  "the replica's process is about to start": spawning("before"),
  "the replica's process has started, and is not written down": spawning("after"),
  "the replica's process is written down": after(ReplicaLedger, "write", hasPid),
  "the replica is ready": before(ConditionBoard, "set", becomes("IngressNotConfigured")),
  "the status IngressNotConfigured is written": after(AppStore, "appendEvent", logs("IngressNotConfigured")),
  "the route is switched, and the revision not noted": before(EstablishedRevisions, "add"),
  "the revision is noted as one that served": after(EstablishedRevisions, "add"),
  "the engine says that it serves": saysThatItServes,
  "the status Uninitialized is written": after(AppStore, "appendEvent", logs("Uninitialized")),
  "the proof of live begins": before(ProofOfLive, "prove"),
  "the public address has answered": after(ProofOfLive, "prove"),
  "the revision is marked ready, not committed": after(AppStore, "setRevisionState"),
  "the verdict is written, not committed": after(AppStore, "appendEvent", isVerdict),
  "the verdict is about to be committed": commit("before", after(AppStore, "appendEvent", isVerdict)),
  "the verdict is committed": commit("after", after(AppStore, "appendEvent", isVerdict)),
  "the old revision is about to be taken away": before(AppSupervisor, "apply", isAlone),
  "the old replica is about to drain": before(RevisionRun, "stop"),
  "the old replica has ended, and is still written down": before(ReplicaLedger, "settle"),
  "the old replica is forgotten": after(ReplicaLedger, "settle"),
};

/** Points of a platform's own start, with apps that are to serve. It kills itself there. */
export const startPoints: Record<string, Trap> = {
  "it has its lock": after(DatabaseSync, "exec", (sql: string) => sql.endsWith("BEGIN EXCLUSIVE")),
  "it opens its database": before(DatabaseSync, "exec", (sql: string) => sql.includes("journal_mode")),
  "it is about to listen": before(PlatformServer, "listen"),
  "it listens": after(PlatformServer, "listen"),
  "it brings its apps back": before(Deployer, "resume"),
  "a replica has started again": spawning("after"),
  "its address is about to be written": beforeFile("renameSync", /platform\.json$/),
  "its address is written": afterFile("renameSync", /platform\.json$/),
};

/** Points of its orderly end. */
export const stopPoints: Record<string, Trap> = {
  "it takes no more connections": after(PlatformServer, "close"),
  "its deployer is closed": after(Deployer, "close"),
  "a replica is about to end": before(RevisionRun, "stop"),
  "a replica is forgotten": after(ReplicaLedger, "settle"),
  "its database is about to be closed": before(Database, "close"),
  "its database is closed": after(Database, "close"),
};

/** A point of a deploy that brings its secrets. */
export const secretPoints: Record<string, Trap> = {
  "a secret is committed": commit("after", after(SecretStore, "get")),
};

/** The first point at which the new revision serves for good: the verdict is on disk. */
export const LIVE_FROM = "the verdict is committed";

/** A point at which one replica is killed, and the platform lives. */
export interface ReplicaPoint {
  /** Whose: that of the revision which is being deployed, or of the one which serves. */
  of: "new" | "old";
  trap: Trap;
  /** How the deploy ends. `either`: the platform may see the end of the replica, or its successor. */
  ends: "good" | "bad" | "either";
}

/** By name, in their order. */
export const replicaPoints: Record<string, ReplicaPoint> = {
  "the next deploy arrives": { of: "old", ends: "good", trap: before(Deployer, "accept") },
  "its process has just started": { of: "new", ends: "bad", trap: after(ReplicaLedger, "write", hasPid) },
  "the next one is ready": {
    of: "old",
    ends: "good",
    trap: before(ConditionBoard, "set", becomes("IngressNotConfigured")),
  },
  "it is ready, its route not switched": {
    of: "new",
    ends: "either",
    trap: before(ConditionBoard, "set", becomes("IngressNotConfigured")),
  },
  "its route is being switched": { of: "new", ends: "either", trap: before(EstablishedRevisions, "add") },
  "the engine says that it serves": { of: "new", ends: "either", trap: saysThatItServes },
  "the proof of live begins": { of: "new", ends: "either", trap: before(ProofOfLive, "prove") },
  "its public address has answered": { of: "new", ends: "good", trap: after(ProofOfLive, "prove") },
  "the verdict is on disk": {
    of: "new",
    ends: "good",
    trap: commit("after", after(AppStore, "appendEvent", isVerdict)),
  },
  "it is about to drain": { of: "old", ends: "good", trap: before(RevisionRun, "stop") },
};

const supervisors = new Set<AppSupervisor>();
after(AppSupervisor, "apply")((self) => void supervisors.add(self as AppSupervisor));

/**
 * Process ids of a revision's replicas. A replica that is just being started or stopped is known only from the call: the
 * record that is written, or the run that is to stop.
 */
export function replicasOf(self: unknown, args: unknown[] | undefined, revision: string): number[] {
  if (self instanceof ReplicaLedger) return [(args?.[0] as { pid: number } | undefined)?.pid ?? 0];
  const running = [...supervisors].flatMap((supervisor) => supervisor.replicas());
  const own = self instanceof RevisionRun ? [self.status()] : [];
  const pids = [...running, ...own]
    .filter((replica) => replica?.revision === revision)
    .flatMap((replica) => replica?.pid ?? []);
  return [...new Set(pids)];
}
