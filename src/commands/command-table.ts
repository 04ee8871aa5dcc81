/** Every command, in the order of the help. */
import { attachCommand } from "./attach.ts";
import { buildCommand } from "./build.ts";
import { createAdminApiKeyCommand } from "./create-admin-api-key.ts";
import { createApiKeyCommand } from "./create-api-key.ts";
import { createSecretCommand } from "./create-secret.ts";
import { deleteApiKeyCommand } from "./delete-api-key.ts";
import { deleteAppsCommand } from "./delete-apps.ts";
import { deleteSecretCommand } from "./delete-secret.ts";
import { deployAppsCommand } from "./deploy-apps.ts";
import { getApiKeyCommand } from "./get-api-key.ts";
import { getAppsCommand } from "./get-apps.ts";
import { getSecretCommand } from "./get-secret.ts";
import { imagesCommand } from "./images.ts";
import { logsAppsCommand } from "./logs-apps.ts";
import { openCommand } from "./open.ts";
import { platformLogsCommand } from "./platform-logs.ts";
import { platformResetCommand } from "./platform-reset.ts";
import { platformRunCommand } from "./platform-run.ts";
import { platformStartCommand } from "./platform-start.ts";
import { platformStatusCommand } from "./platform-status.ts";
import { platformStopCommand } from "./platform-stop.ts";
import { platformUpgradeCommand } from "./platform-upgrade.ts";
import { pruneCacheCommand } from "./prune-cache.ts";
import { pruneImagesCommand } from "./prune-images.ts";
import { rollbackCommand } from "./rollback.ts";
import type { CommandRow } from "./shared/command.ts";
import { startAppsCommand } from "./start-apps.ts";
import { stopAppsCommand } from "./stop-apps.ts";
import { updateSecretCommand } from "./update-secret.ts";

/** Verbs that have nouns, and what each does. */
export const GROUPS: Readonly<Record<string, string>> = {
  create: "create a secret or an API key",
  deploy: "deploy an app",
  get: "show apps, secrets or API keys",
  update: "change a secret",
  delete: "delete an app, a secret or an API key",
  stop: "stop an app",
  start: "start a stopped app",
  logs: "show the output of an app",
  prune: "remove unneeded images and cache",
  platform: "manage the local platform",
};

/** Verbs whose only noun may be left out: `appctl deploy app.ts`. */
export const SHORT_VERBS: readonly string[] = ["deploy", "stop", "start", "logs"];

export const COMMANDS: readonly CommandRow[] = [
  createSecretCommand,
  createAdminApiKeyCommand,
  createApiKeyCommand,
  deployAppsCommand,
  buildCommand,
  getAppsCommand,
  getSecretCommand,
  getApiKeyCommand,
  updateSecretCommand,
  deleteAppsCommand,
  deleteSecretCommand,
  deleteApiKeyCommand,
  stopAppsCommand,
  startAppsCommand,
  logsAppsCommand,
  attachCommand,
  rollbackCommand,
  openCommand,
  imagesCommand,
  pruneImagesCommand,
  pruneCacheCommand,
  platformStartCommand,
  platformStopCommand,
  platformUpgradeCommand,
  platformStatusCommand,
  platformLogsCommand,
  platformResetCommand,
  platformRunCommand,
];
