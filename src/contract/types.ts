/** The types of the wire shapes in `schemas.ts`. Importing them loads nothing. */
import type { z } from "zod";
import type * as schemas from "./schemas.ts";

export type { AppSpec, Permission, ResourceAmounts, SecretRequest } from "./app-spec.ts";

export type Problem = z.infer<typeof schemas.Problem>;
export type CheckResult = z.infer<typeof schemas.CheckResult>;
export type ImageReference = z.infer<typeof schemas.ImageReference>;
export type Deployment = z.infer<typeof schemas.Deployment>;
export type LogLine = z.infer<typeof schemas.LogLine>;
export type FailureCause = z.infer<typeof schemas.FailureCause>;
export type DeploymentEvent = z.infer<typeof schemas.DeploymentEvent>;
export type EventPage = z.infer<typeof schemas.EventPage>;
export type ReplicaStatus = z.infer<typeof schemas.ReplicaStatus>;
export type AppStatus = z.infer<typeof schemas.AppStatus>;
export type ProjectList = z.infer<typeof schemas.ProjectList>;
export type Revision = z.infer<typeof schemas.Revision>;
export type SecretScope = z.infer<typeof schemas.SecretScope>;
export type SecretWrite = z.infer<typeof schemas.SecretWrite>;
export type SecretInfo = z.infer<typeof schemas.SecretInfo>;
export type ApiKeyCreate = z.infer<typeof schemas.ApiKeyCreate>;
export type ApiKeyInfo = z.infer<typeof schemas.ApiKeyInfo>;
export type ApiKeyCreated = z.infer<typeof schemas.ApiKeyCreated>;
export type ImageInfo = z.infer<typeof schemas.ImageInfo>;
export type Pruned = z.infer<typeof schemas.Pruned>;
export type Health = z.infer<typeof schemas.Health>;
export type PlatformStatus = z.infer<typeof schemas.PlatformStatus>;
export type ConsoleLink = z.infer<typeof schemas.ConsoleLink>;
export type ResolveRequest = z.infer<typeof schemas.ResolveRequest>;
export type ResolveEvent = z.infer<typeof schemas.ResolveEvent>;
export type ResolvedPackages = z.infer<typeof schemas.ResolvedPackages>;
export type BuildRequest = z.infer<typeof schemas.BuildRequest>;
export type BuildEvent = z.infer<typeof schemas.BuildEvent>;
export type Descriptor = z.infer<typeof schemas.Descriptor>;

/** Names one app: project, domain and name. */
export interface AppRef {
  project: string;
  domain: string;
  name: string;
}
