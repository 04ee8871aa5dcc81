/** The options of App, and of what it holds. After a change: `npm run generate`. */
import { NAMES } from "./name-patterns.ts";
import type { OptionTable, Shape } from "./option.ts";

/** What an app may do besides computing, and reading and writing its own files. */
export const PERMISSIONS = ["addons", "child-process", "worker"] as const;

const text = { type: "text" } as const;
const name = { type: "text", ...NAMES.env } as const;

/** Options of a Secret. */
export const SECRET_OPTIONS = {
  key: {
    type: "text",
    ...NAMES.secret,
    required: true,
    doc: "Name of the secret on the platform: letters, digits, `_`, `-`, `.`; at most 63 characters.",
  },
  envVar: {
    ...name,
    doc: 'Environment variable that carries the secret. Default: `key` with `_` for everything but letters and digits. With `mount: "file"` the variable carries the path of the file. Its default then ends with `_FILE`.',
  },
  mount: {
    type: "choice",
    values: ["env", "file"],
    default: "env",
    doc: '`"env"` (default) puts the value into `envVar`. `"file"` writes the exact bytes to a file that only the app can read.',
  },
} as const satisfies OptionTable;

/** Options of a Resources. */
export const RESOURCES_OPTIONS = {
  cpu: { type: "cpu", doc: 'Cores, such as `"1"`, `"0.5"` or `"250m"`.' },
  mem: { type: "bytes", doc: 'Bytes of memory, such as `"512Mi"` or `"1Gi"`.' },
  ephemeralStorage: { type: "bytes", doc: "Bytes of the files that a replica writes. Default: 2Gi." },
} as const satisfies OptionTable;

const resources = {
  type: "object",
  owner: "Resources",
  typeName: "ResourcesOptions",
  plain: true,
  fields: RESOURCES_OPTIONS,
} as const satisfies Shape;

/** Options of an {@link Input}. */
export const INPUT_OPTIONS = {
  name: { ...text, required: true, doc: "Name of the input." },
  value: { ...text, mayBeEmpty: true, required: true, doc: "Value of the input." },
  envVar: { ...name, doc: "Environment variable that carries the value." },
} as const satisfies OptionTable;

/** Options of a Link. */
export const LINK_OPTIONS = {
  title: { ...text, max: 100, required: true, doc: "Text of the link." },
  path: { ...text, max: 2000, required: true, doc: "Path on the app's address, or a URL." },
} as const satisfies OptionTable;

/** Options of a ScalingMetric. */
export const SCALING_METRIC_OPTIONS = {
  type: { type: "choice", values: ["concurrency", "request-rate"], required: true, doc: "What is counted." },
  target: { type: "number", above: 0, required: true, doc: "Requests at once, or a second, for each replica." },
} as const satisfies OptionTable;

/** Options of an App. */
export const APP_OPTIONS = {
  name: {
    type: "text",
    ...NAMES.app,
    required: true,
    doc: "Name of the app: lower-case letters, digits and `-`; starts with a letter; at most 30 characters.",
  },
  frameworkApp: {
    type: "framework-app",
    program: true,
    local: true,
    doc: "The web app itself. Give exactly one of `frameworkApp`, `args` and `command`.",
  },
  args: {
    type: "list",
    of: text,
    min: 1,
    program: true,
    doc: "Program and arguments to run instead. The program listens on `$PORT`. `node` is the platform's Node.",
  },
  command: {
    ...text,
    program: true,
    doc: "Shell command line to run instead (`/bin/sh -c`). The program listens on `$PORT`.",
  },
  secrets: {
    type: "list",
    of: { type: "object", owner: "Secret", typeName: "Secret", plain: false, fields: SECRET_OPTIONS },
    expected: "a list of new Secret({ key: … })",
    default: [],
    doc: "Secrets that the app needs. A deploy checks that each exists before it builds anything.",
  },
  containerImage: {
    type: "image-spec",
    local: true,
    doc: "Environment that the app runs in. Default: an image without extra packages.",
  },
  limits: { ...resources, default: {}, doc: "The most that one replica may use." },
  requests: { ...resources, doc: "What one replica is guaranteed." },
  permissions: {
    type: "list",
    of: { type: "choice", values: PERMISSIONS },
    max: PERMISSIONS.length,
    doc: 'What a `frameworkApp` may do where apps are plain processes: start programs (`"child-process"`), start threads (`"worker"`), load native code (`"addons"`). Default: what the bundled code imports.',
  },
  port: {
    type: "integer",
    min: 1,
    max: 65_535,
    default: 8080,
    doc: "Port inside a container. Default: 8080. Where apps are plain processes, `$PORT` is a free port of the machine.",
  },
  requiresAuth: {
    type: "boolean",
    default: true,
    doc: "`true` (default): the platform's gateway asks for a platform key before the app sees a request.",
  },
  env: { type: "env", default: {}, doc: "Environment variables." },
  include: {
    type: "list",
    of: text,
    expected: "a list of texts",
    local: true,
    doc: "Files to ship with the app, as globs relative to the file that declares it. A folder means all of its content. A wildcard takes no hidden file, and does not enter `node_modules` or `.git`. A glob that begins with `!` excludes files. Links to folders, broken links and special files are left out; a glob can name a link to a folder.",
  },
  minReplicas: {
    type: "integer",
    min: 0,
    max: 1000,
    default: 0,
    doc: "Smallest number of replicas. Default: 0, so that an engine may scale an idle app to zero.",
  },
  maxReplicas: { type: "integer", min: 1, max: 1000, default: 1, doc: "Largest number of replicas. Default: 1." },
  scaledownAfter: { type: "duration", doc: "How long an idle replica is kept." },
  scalingMetric: {
    type: "object",
    owner: "scalingMetric",
    typeName: "ScalingMetric",
    plain: true,
    fields: SCALING_METRIC_OPTIONS,
    doc: "When to add replicas.",
  },
  inputs: {
    type: "list",
    of: { type: "object", owner: "inputs", typeName: "Input", plain: true, fields: INPUT_OPTIONS },
    doc: "Values that are resolved at deploy time.",
  },
  dependencies: { type: "apps", local: true, doc: "Apps of the same file that are deployed before this one." },
  subdomain: {
    type: "text",
    ...NAMES.subdomain,
    doc: "Sub-domain of the app's address. Default: a random adjective-noun-hex, which the app keeps.",
  },
  customDomain: { ...text, max: 253, doc: "Domain of your own for the app's address." },
  links: {
    type: "list",
    of: { type: "object", owner: "links", typeName: "Link", plain: true, fields: LINK_OPTIONS },
    default: [],
    doc: "Links that the console shows.",
  },
  description: {
    ...text,
    mayBeEmpty: true,
    max: 500,
    doc: "What the app is, in a sentence, for `get apps` and the console.",
  },
  type: { ...text, mayBeEmpty: true, max: 63, doc: 'Free label for the kind of app, such as `"api"`.' },
  requestTimeout: {
    type: "duration",
    max: 86_400,
    default: 300,
    doc: "The longest time from a request to the first byte of its response. Default: 300 s.",
  },
  startTimeout: {
    type: "duration",
    max: 3600,
    default: 120,
    doc: "The longest time from start to the first answer. Default: 120 s.",
  },
  sharedMemory: { ...text, doc: "Size of /dev/shm." },
  accelerator: { ...text, doc: "Accelerator to schedule on." },
  clusterPool: { ...text, doc: "Cluster pool to schedule on." },
} as const satisfies OptionTable;
