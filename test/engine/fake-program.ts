/** What a replica of the fake does: a function that lives inside the test's own process. */

import type { FailureCause, LogLine } from "../../src/contract/types.ts";
import { messageOf } from "../../src/core/errors.ts";
import type { Lease } from "../../src/core/lease.ts";
import { LineSplitter } from "../../src/core/lines.ts";
import type { Redacted } from "../../src/core/redacted.ts";
import { causeOf } from "../../src/engine/causes.ts";
import type { PinnedSecret, RunnableRevision } from "../../src/engine/engine.ts";
import { explainFailure } from "../../src/engine/explain-failure.ts";

/** Where a replica answers. */
export interface FakeAddress {
  address?: Lease["address"];
  token?: string;
}

/** Runs once for each life of a replica. It returns at once; what becomes of the life it says through it. */
export type FakeProgram = (life: FakeLife) => void;

/** Chooses the program of a revision. */
export type Script = (revision: RunnableRevision) => FakeProgram;

/** It is ready at once, at the engine's own address. */
export const succeeds: Script = () => (life) => life.listens();

/** It fails before it is ready, with `cause`. */
export function fails(cause: FailureCause): Script {
  return () => (life) => life.fail(cause);
}

/** Nothing becomes of it, unless the test says so with `FakeEngine.set`. */
export const hangs: Script = () => () => {};

/** How a life ended: by itself with a code, by a signal, or with a cause that the program named. */
export interface Ending {
  code: number | null;
  signal: string | null;
  cause?: FailureCause;
}

type Stream = LogLine["stream"];

/** One life of a replica, from a start to its end. */
export class FakeLife {
  readonly revision: RunnableRevision;
  readonly env: Readonly<Record<string, string>>;
  /** Settles at the end, however it came. */
  readonly ended: Promise<Ending>;
  /** The last lines that it printed. */
  readonly output: LogLine[] = [];
  #at: FakeAddress | undefined;
  readonly #files: ReadonlyMap<string, Buffer>;
  readonly #over = new AbortController();
  readonly #splitters = { stdout: new LineSplitter(), stderr: new LineSplitter() };
  readonly #write: (stream: Stream, line: string) => LogLine;
  readonly #ready: () => void;
  #end: (ending: Ending) => void = () => {};
  #atTerm = () => this.#finish({ code: null, signal: "SIGTERM" });

  constructor(
    revision: RunnableRevision,
    given: GivenSecrets & { env: Record<string, string> },
    told: { write(stream: Stream, line: string): LogLine; ready(): void },
  ) {
    this.revision = revision;
    this.env = { ...given.env, ...given.variables };
    this.#files = given.files;
    this.#write = told.write;
    this.#ready = told.ready;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Aborts at the end: what the program holds is to be let go. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Where it answers; undefined before it does and after its end. */
  get at(): FakeAddress | undefined {
    return this.over.aborted ? undefined : this.#at;
  }

  /** It answers now. Without an address that is the engine's. */
  listens(at: FakeAddress = {}): void {
    this.#at = at;
    this.#ready();
  }

  /** Bytes of a secret's file. */
  readFile(path: string): Buffer {
    const bytes = this.#files.get(path);
    if (!bytes) throw new Error(`no such file: ${path}`);
    return bytes;
  }

  /** Writes bytes to its output. */
  print(stream: Stream, bytes: Buffer): void {
    if (!this.over.aborted) this.#keep(stream, this.#splitters[stream].push(bytes));
  }

  /** Ends by itself. */
  exit(code: number): void {
    this.#finish({ code, signal: null });
  }

  /** Ends with a cause of the program's own. */
  fail(cause: FailureCause): void {
    this.#finish({ code: null, signal: null, cause });
  }

  /** Replaces what SIGTERM does to it, which is its end. */
  onTerm(handler: () => void): void {
    this.#atTerm = handler;
  }

  /** Sends SIGTERM. */
  terminate(): void {
    this.#atTerm();
  }

  /** Ends it whatever it wants. */
  kill(): void {
    this.#finish({ code: null, signal: "SIGKILL" });
  }

  /** Why it ended, in the words of every engine. */
  explain(ending: Ending | undefined): FailureCause {
    if (ending?.cause) return ending.cause;
    return explainFailure({
      spec: this.revision.spec,
      ...(ending ? { exit: { ...ending, outOfMemory: false } } : {}),
      wasReady: this.#at !== undefined,
      output: this.output,
      roots: [],
    });
  }

  #finish(ending: Ending): void {
    if (this.over.aborted) return;
    for (const stream of ["stdout", "stderr"] as const) this.#keep(stream, this.#splitters[stream].flush());
    this.#over.abort();
    this.#end(ending);
  }

  #keep(stream: Stream, lines: string[]): void {
    for (const line of lines) this.output.push(this.#write(stream, line));
  }
}

/** Secrets as a program finds them. */
export interface GivenSecrets {
  variables: Record<string, string>;
  /** By the path that stands in a variable. */
  files: Map<string, Buffer>;
}

/** Reads the secrets of a revision. Gives a cause when one cannot be read or cannot be a variable. */
export async function giveFakeSecrets(
  secrets: readonly PinnedSecret[],
  read: (id: string, version: number) => Promise<Redacted<Buffer>>,
): Promise<GivenSecrets | FailureCause> {
  const given: GivenSecrets = { variables: {}, files: new Map() };
  for (const { key, envVar, mount, id, version } of secrets) {
    let bytes: Buffer;
    try {
      bytes = (await read(id, version)).reveal();
    } catch (error) {
      return causeOf("secretUnreadable", { key, version, error: messageOf(error) });
    }
    if (mount === "file") {
      given.variables[envVar] = `/secrets/${envVar}`;
      given.files.set(`/secrets/${envVar}`, bytes);
    } else {
      const text = bytes.toString("utf8");
      if (text.includes("\0") || !Buffer.from(text).equals(bytes)) return causeOf("secretNotText", { key });
      given.variables[envVar] = text;
    }
  }
  return given;
}
