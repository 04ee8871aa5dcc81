/**
 * The variables that the platform gives to every app. The engine adds `PORT` and `HOST`; the image's and the app's own
 * variables come before all of these, and the app's secrets after them.
 */
import type { AppVariable } from "../../contract/app-environment.ts";
import type { AppRef } from "../../contract/types.ts";

/** Where an app reaches the platform, and the addresses of the apps next to it. */
export interface PlatformEndpoints {
  endpoint: string;
  /** Has `{subdomain}` where an app's sub-domain goes. */
  endpointPattern: string;
}

/** The variables of one revision of an app. */
export function appEnv(
  app: AppRef,
  revision: string,
  platform: PlatformEndpoints,
): Record<Exclude<AppVariable, "PORT" | "HOST">, string> {
  return {
    K_SERVICE: app.name,
    K_CONFIGURATION: app.name,
    K_REVISION: revision,
    APPCTL_APP: app.name,
    APPCTL_REVISION: revision,
    APPCTL_PROJECT: app.project,
    APPCTL_DOMAIN: app.domain,
    APPCTL_ENDPOINT: platform.endpoint,
    APPCTL_ENDPOINT_PATTERN: platform.endpointPattern,
  };
}
