/** The environment variables that every app gets from the platform: the runtime contract of apps. */
export const APP_ENVIRONMENT = {
  PORT: "Port to listen on. For a `frameworkApp` the server shim listens.",
  HOST: "Address to listen on.",
  K_SERVICE: "Name of the app.",
  K_CONFIGURATION: "Name of the app.",
  K_REVISION: "Name of the revision.",
  APPCTL_APP: "Name of the app.",
  APPCTL_REVISION: "Name of the revision.",
  APPCTL_PROJECT: "Project of the app.",
  APPCTL_DOMAIN: "Domain of the app.",
  APPCTL_ENDPOINT: "Address of the platform's API, as the app reaches it.",
  APPCTL_ENDPOINT_PATTERN: "Address of an app, with `{subdomain}` for its sub-domain, as the app reaches it.",
} as const satisfies Record<string, string>;

/** Name of a variable that the platform sets. */
export type AppVariable = keyof typeof APP_ENVIRONMENT;

/** True for a variable that the platform sets itself, so that neither an app nor a secret may. */
export function isReserved(name: string): boolean {
  return name === "PORT" || name === "HOST" || name.startsWith("K_") || name.startsWith("APPCTL_");
}
