/** A setting of appctl: where it can be given. A flag wins over the variable, the variable over the files. */
export interface Setting {
  /** Environment variable. */
  variable: string;
  flag?: string;
  /** Key in a configuration file. */
  key?: string;
  doc: string;
  default?: string;
  /** Not in a project's file: it decides what a folder that was cloned from somewhere may do. */
  userOnly?: true;
}

/** Every setting. */
export const SETTINGS = {
  apiKey: {
    variable: "APPCTL_API_KEY",
    doc: "API key with the URL of its platform in it (default: the local platform)",
  },
  apiKeyFile: { variable: "APPCTL_API_KEY_FILE", key: "apiKeyFile", doc: "file that contains an API key" },
  project: { variable: "APPCTL_PROJECT", flag: "--project", key: "project", doc: "project", default: "default" },
  domain: { variable: "APPCTL_DOMAIN", flag: "--domain", key: "domain", doc: "domain", default: "development" },
  endpoint: { variable: "APPCTL_ENDPOINT", flag: "--endpoint", key: "endpoint", doc: "URL of the platform" },
  port: { variable: "APPCTL_PORT", flag: "--port", key: "port", doc: "port of the local platform", default: "7654" },
  config: {
    variable: "APPCTL_CONFIG",
    flag: "--config",
    doc: "configuration file",
    default: "~/.config/appctl/config.yaml",
  },
  registry: { variable: "APPCTL_REGISTRY", flag: "--registry", key: "registry", doc: "registry of images" },
  runtime: {
    variable: "APPCTL_RUNTIME",
    flag: "--runtime",
    key: "runtime",
    doc: "runtime of a local platform: process or docker",
    default: "last used, initially process",
    userOnly: true,
  },
  baseImage: {
    variable: "APPCTL_BASE_IMAGE",
    key: "baseImage",
    doc: "base image of images that name none",
    default: "node:24-slim",
  },
} as const satisfies Record<string, Setting>;

/** A setting for people: what it is, and its default. */
export function settingText({ doc, default: value }: Setting): string {
  return value === undefined ? doc : `${doc} (default: ${value})`;
}
