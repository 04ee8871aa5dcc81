/** A bound that people, apps or clients of the API can meet. */
export interface Limit {
  value: number;
  unit: "bytes" | "fields" | "tasks" | "characters" | "seconds" | "hours";
  /** What the bound is for, and what happens beyond it. */
  doc: string;
}

/** The bounds of the platform. Options of App and ImageSpec have theirs in the option tables. */
export const LIMITS = {
  secretBytes: {
    value: 1024 ** 2,
    unit: "bytes",
    doc: "Largest value of a secret: what a Kubernetes Secret can hold.",
  },
  variableBytes: {
    value: 128 * 1024 - 1,
    unit: "bytes",
    doc: 'Largest environment variable, with its name and `=` (MAX_ARG_STRLEN of Linux). A larger secret needs `mount: "file"`.',
  },
  jsonBytes: { value: 4 * 1024 ** 2, unit: "bytes", doc: "Largest JSON body of a request to the API. Beyond it: 413." },
  buildRequestBytes: {
    value: 32 * 1024 ** 2,
    unit: "bytes",
    doc: "Largest request of a remote build, which has the lockfile of the project in it. Beyond it: 413.",
  },
  blobBytes: { value: 4 * 1024 ** 3, unit: "bytes", doc: "Largest blob that the platform stores. Beyond it: 413." },
  eventWaitSeconds: { value: 60, unit: "seconds", doc: "Longest wait of one request for events of a deployment." },
  idempotencyKeyCharacters: { value: 200, unit: "characters", doc: "Longest `Idempotency-Key`. Beyond it: 422." },
  requestFields: {
    value: 256,
    unit: "fields",
    doc: "Most header fields of a request that the gateway passes on. Beyond it: 431.",
  },
  responseHeadBytes: {
    value: 64 * 1024,
    unit: "bytes",
    doc: "Largest head of a response that the gateway takes from an app. Beyond it: 502.",
  },
  replicaTasks: {
    value: 1024,
    unit: "tasks",
    doc: "Most processes and threads of a replica, in a container and as processes. It stops a fork bomb.",
  },
  logFileBytes: {
    value: 10 * 1024 ** 2,
    unit: "bytes",
    doc: "Size of a log file after which the log goes on in a new file. An app keeps 5 files, the platform 2.",
  },
  consoleLinkSeconds: { value: 600, unit: "seconds", doc: "Time in which a one-time link to the console works." },
  consoleSessionHours: { value: 12, unit: "hours", doc: "Longest time that a browser stays signed in to the console." },
} as const satisfies Record<string, Limit>;

/** An `Idempotency-Key`: visible ASCII characters. */
export const IDEMPOTENCY_KEY = new RegExp(`^[\\x21-\\x7e]{1,${LIMITS.idempotencyKeyCharacters.value}}$`);
