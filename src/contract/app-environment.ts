/** The environment variables that every app gets from the platform: the runtime contract of apps. */

/** What the values are made of. */
export interface AppFacts {
  app: { project: string; domain: string; name: string };
  revision: string;
  /** Where the app reaches the platform. */
  endpoint: string;
  /** Address of an app, with `{subdomain}` for its sub-domain. */
  endpointPattern: string;
}

interface AppVariable {
  doc: string;
  /** Absent: the engine gives each replica its own. */
  value?(facts: AppFacts): string;
}

/** Every variable. The image's and the app's own variables come before these, and the app's secrets after them. */
export const APP_ENVIRONMENT = {
  PORT: { doc: "Port to listen on. For a `frameworkApp` the server shim listens." },
  HOST: { doc: "Address to listen on." },
  K_SERVICE: { doc: "Name of the app.", value: ({ app }) => app.name },
  K_CONFIGURATION: { doc: "Name of the app.", value: ({ app }) => app.name },
  K_REVISION: { doc: "Name of the revision.", value: ({ revision }) => revision },
  APPCTL_APP: { doc: "Name of the app.", value: ({ app }) => app.name },
  APPCTL_REVISION: { doc: "Name of the revision.", value: ({ revision }) => revision },
  APPCTL_PROJECT: { doc: "Project of the app.", value: ({ app }) => app.project },
  APPCTL_DOMAIN: { doc: "Domain of the app.", value: ({ app }) => app.domain },
  APPCTL_ENDPOINT: { doc: "Address of the platform's API, as the app reaches it.", value: ({ endpoint }) => endpoint },
  APPCTL_ENDPOINT_PATTERN: {
    doc: "Address of an app, with `{subdomain}` for its sub-domain, as the app reaches it.",
    value: ({ endpointPattern }) => endpointPattern,
  },
} as const satisfies Record<string, AppVariable>;

/** The variables of one revision of an app, but those that the engine gives. */
export function appEnvironment(facts: AppFacts): Record<string, string> {
  const rows = Object.entries<AppVariable>(APP_ENVIRONMENT);
  return Object.fromEntries(rows.flatMap(([name, { value }]) => (value ? [[name, value(facts)]] : [])));
}

/** True for a variable that the platform sets itself, so that neither an app nor a secret may. */
export function isReserved(name: string): boolean {
  return name === "PORT" || name === "HOST" || name.startsWith("K_") || name.startsWith("APPCTL_");
}
