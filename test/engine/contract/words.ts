/** The words of Knative Serving that conditions carry, as the contract has them. */
import { expect } from "vitest";
import type { Condition } from "../../../src/engine/engine.ts";

type Words = Omit<Condition, "revision">;

/** Before the engine knows of the revision. */
export const OUT_OF_DATE: Words = {
  ready: "Unknown",
  reason: "OutOfDate",
  message: "The Configuration is still working to reflect the latest desired specification.",
};

/** It starts, and nothing of the app serves. */
export const REVISION_MISSING: Words = {
  ready: "Unknown",
  reason: "RevisionMissing",
  message: 'Configuration "web" is waiting for a Revision to become ready.',
};

/** It starts, or runs without traffic, and another revision serves. */
export const TRAFFIC_NOT_MIGRATED: Words = {
  ready: "Unknown",
  reason: "TrafficNotMigrated",
  message: "Traffic is not yet migrated to the latest revision.",
};

/** It is ready, and its traffic is about to move to it. */
export const INGRESS_NOT_CONFIGURED: Words = {
  ready: "Unknown",
  reason: "IngressNotConfigured",
  message: "Ingress has not yet been reconciled.",
};

/** It was taken back before its verdict. */
export function revisionDeleted(revision: string): Words {
  return {
    ready: "False",
    reason: "RevisionDeleted",
    message: `Revision "${revision}" was deleted.`,
    cause: expect.objectContaining({ code: "SUPERSEDED" }),
  };
}

/** It failed; `message` is its cause's. */
export function revisionFailed(revision: string, code: string, message: string): Words {
  return {
    ready: "False",
    reason: "RevisionFailed",
    message: `Revision "${revision}" failed with message: ${message}.`,
    cause: expect.objectContaining({ code, message }),
  };
}
