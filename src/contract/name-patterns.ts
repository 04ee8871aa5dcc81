/** Names of environment variables. */
export const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A label of a DNS name, in lower case. */
export const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
