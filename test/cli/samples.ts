import type { AppStatus } from "../../src/contract/types.ts";

/** An app as the platform tells of it. */
export const sampleApp: AppStatus = {
  project: "default",
  domain: "development",
  name: "web",
  status: "Running",
  message: "",
  revision: "web-00002",
  image: "localhost:7654/web-image:KXwIrIyoU_Decb0wgPy23A-0123456789ab",
  digest: `sha256:${"0".repeat(64)}`,
  endpoint: "http://rough-meadow-97cf5.apps.localhost:7654",
  consoleUrl: "http://localhost:7654/console/projects/default/domains/development/apps/web",
  requiresAuth: true,
  description: null,
  type: null,
  links: [],
  replicas: [
    {
      name: "web-00002-abcde",
      revision: "web-00002",
      state: "Ready",
      restarts: 0,
      startedAt: "2026-03-01T11:59:30.000Z",
      pid: 4711,
      lastExit: null,
    },
  ],
  deployment: 2,
  createdAt: "2026-03-01T10:00:00.000Z",
  updatedAt: "2026-03-01T11:55:00.000Z",
};
