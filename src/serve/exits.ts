/**
 * How the server shim says why it did not serve: an exit code of its own and one line on stderr that starts with `appctl: `.
 * The codes lie where neither Node nor a shell has any.
 */
export const ShimExit = {
  /** A declared secret is not in the environment. */
  missingSecret: 78,
  /** The bundle exports no App of the wanted name. */
  noSuchApp: 79,
  /** The App's `frameworkApp` is nothing that can answer HTTP. */
  notServable: 80,
} as const;

/** Start of each line that the shim itself writes to stderr. */
export const SHIM_PREFIX = "appctl: ";
