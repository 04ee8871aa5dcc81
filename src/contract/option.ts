/**
 * The rows of the option tables: plain data that describes what a user's file and the deployment API may say. The types of
 * the SDK, the checks, the API's JSON Schema and the reference pages are made from the tables.
 */

/** Checks that need more than a pattern; `app/formats.ts` has the function of each. */
export type TextFormat =
  | "apt-package"
  | "base-image"
  | "image-name"
  | "lockfile"
  | "node-version"
  | "package"
  | "registry"
  | "target";

/** What a value may be. */
export type Shape =
  | TextShape
  | { type: "boolean" }
  | { type: "choice"; values: readonly string[] }
  | NumberShape
  /** Seconds as a number; in a user's file also text such as `"90s"`. `max` is in seconds. */
  | { type: "duration"; max?: number }
  /** Cores or bytes in Kubernetes' notation; in a user's file also a number. */
  | { type: "cpu" | "bytes" }
  | ListShape
  | ObjectShape
  /** Environment variables. Their values appear in no message. */
  | { type: "env" }
  /** SDK objects and programs that never leave the user's file. */
  | { type: "framework-app" | "image-spec" | "apps" };

export interface TextShape {
  type: "text";
  pattern?: RegExp;
  /** How a fault of the pattern reads on from the field: `must be …`. */
  rule?: string;
  format?: TextFormat;
  /** What a fault of the type asks for: `must be <expected>`. Default: `text`. */
  expected?: string;
  /** Characters. */
  max?: number;
  mayBeEmpty?: true;
}

export interface NumberShape {
  type: "integer" | "number";
  min?: number;
  /** The value is larger than this. */
  above?: number;
  max?: number;
}

export interface ListShape {
  type: "list";
  of: Shape;
  min?: number;
  max?: number;
  /** What a fault of the type asks for: `must be <expected>`. Default: `a list`. */
  expected?: string;
  /** One item may be given without a list around it. */
  orOne?: true;
}

export interface ObjectShape {
  type: "object";
  /** Name of the SDK's class, or of the option, in messages: `is not an option of Resources`. */
  owner: string;
  /** Name of the type in the SDK. */
  typeName: string;
  /** A plain object is no fault in a user's file. */
  plain: boolean;
  fields: Readonly<Record<string, Option>>;
}

/** One option: what it may be, and what the types, the docs and the API say of it. */
export type Option = Shape & {
  /** Sentences for people, in Markdown. */
  doc: string;
  required?: true;
  /** The value of an option that is not given, as it is sent to the platform. */
  default?: unknown;
  /** One of the ways to say what runs: exactly one of them is given. */
  program?: true;
  /** Stays on the user's machine: the deployment API has no such field. */
  local?: true;
};

/** A table: the options of one class, in the order of the docs. */
export type OptionTable = Readonly<Record<string, Option>>;

/** One thing that is wrong with a value. `path` is written as in code: `secrets[0].key`. */
export interface OptionFault {
  path: string;
  message: string;
  hint?: string;
}

/** What a check needs to know of the place that the values come from. */
export interface OptionContext {
  faults: OptionFault[];
  /** A value in a few words, for `…, not <this>`. */
  describe(value: unknown): string;
  /** The fields of an object, or undefined for a value that is no object of this shape. */
  fieldsOf(value: unknown, shape: ObjectShape): Readonly<Record<string, unknown>> | undefined;
  /** Seconds, or undefined for a value that is no duration. */
  seconds(value: unknown): number | undefined;
  /** An amount as text, where the place allows another notation. */
  amount(value: unknown): unknown;
  /** What is wrong with a text of this format. Default: formats are not checked. */
  format?(format: TextFormat, text: string): Omit<OptionFault, "path"> | undefined;
  /** The candidate that `word` most likely means. */
  nearest?(word: string, candidates: readonly string[]): string | undefined;
}
