/** Patterns of names, each with its rule as a fault message reads on from the field: `name must be …`. */
export interface NamePattern {
  pattern: RegExp;
  rule: string;
}

/** Names of environment variables. */
export const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A label of a DNS name, in lower case. */
export const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** The names and notations that App, ImageSpec and the API's requests have in common. */
export const NAMES = {
  app: {
    pattern: /^[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?$/,
    rule: "must be 1 to 30 lower-case letters, digits and '-', start with a letter and not end with '-'",
  },
  /** A project or a domain. */
  scope: { pattern: DNS_LABEL, rule: "must be 1 to 63 lower-case letters, digits and '-'" },
  subdomain: { pattern: DNS_LABEL, rule: "must be one DNS label: lower-case letters, digits and '-'" },
  secret: {
    pattern: /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62})$/,
    rule: "must be 1 to 63 letters, digits, '_', '-' and '.'",
  },
  env: { pattern: ENV_NAME, rule: "must be letters, digits and '_', not starting with a digit" },
  digest: { pattern: /^sha256:[0-9a-f]{64}$/, rule: "must be sha256: and 64 hex digits" },
  /** Cores in Kubernetes' notation, more than 0. */
  cpu: {
    pattern: /^(?=.*[1-9])(?:\d+(?:\.\d{1,3})?|[1-9]\d*m)$/,
    rule: 'must be a number of cores above 0, such as "1", "0.5" or "250m"',
  },
  /** Bytes in Kubernetes' notation, with a binary or decimal suffix. */
  bytes: { pattern: /^[1-9]\d*(?:Ki|Mi|Gi|Ti|k|M|G|T)?$/, rule: 'must be a number of bytes such as "512Mi" or "1Gi"' },
} as const satisfies Record<string, NamePattern>;
