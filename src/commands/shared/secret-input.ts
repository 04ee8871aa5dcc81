/** Where a secret's bytes come from, and which bytes are refused. Values live in `Redacted` and in no message. */
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { LIMITS } from "../../contract/limits.ts";
import { isEnvironmentText } from "../../core/environment-text.ts";
import { type AppctlError, messageOf, usageError } from "../../core/errors.ts";
import { Redacted } from "../../core/redacted.ts";
import { bytesText } from "../../ui/age.ts";
import { canAsk, type Io } from "../../ui/io.ts";

type Value = Redacted<Uint8Array>;

/** How `create secret` and `update secret` get their value. */
export interface ValueFlags {
  value?: string | undefined;
  /** A file, or `-` for stdin. */
  valueFile?: string | undefined;
  binary?: boolean | undefined;
}

/** The value that the flags name, else what is typed at a hidden prompt. Every fault is a usage error. */
export async function secretValue(io: Io, name: string, flags: ValueFlags): Promise<Value> {
  const { value, valueFile, binary } = flags;
  if (value !== undefined && valueFile !== undefined)
    throw usageError("--value and --value-file cannot be used together");
  if (value !== undefined) {
    io.stderr.write(
      "Warning: --value is visible in the process list and in the shell's history; --value-file is not.\n",
    );
    return checkedValue(name, new Redacted(new Uint8Array(Buffer.from(value, "utf8"))), binary);
  }
  if (valueFile !== undefined) return checkedValue(name, await readSource(io, valueFile, "--value-file"), binary);
  return checkedValue(name, await promptValue(io, `Value of secret ${name} (hidden): `, name), binary);
}

/** Asks for a value on the terminal; where there is none, the error says which flags to use. */
export async function promptValue(io: Io, label: string, name: string): Promise<Value> {
  if (!canAsk(io)) {
    throw usageError(`missing value of secret ${name} (no terminal to ask on)`, {
      code: "NO_VALUE",
      hint: "pass --value-file FILE, or --value-file - for stdin",
    });
  }
  const { askHidden } = await import("../../ui/prompt.ts");
  const value = await askHidden(io, label, LIMITS.secretBytes.value);
  if (isFirstLineOfPem(value)) {
    throw usageError(`only the first line of a PEM file arrived for secret ${name}`, {
      code: "CUT_PASTE",
      hint: "this terminal ends a paste at its first line; use --value-file FILE",
    });
  }
  return value;
}

/** Every byte of a file, or of stdin for `-`. */
export async function readSource(io: Io, source: string, flag: string): Promise<Value> {
  if (source === "-") return new Redacted(await readAll(io, flag));
  if (source === "") throw usageError(`${flag} needs the name of a file, or - for stdin`);
  const file = resolve(io.cwd, source);
  try {
    // A special file (a pipe of the shell's <(…)) has no size: only what is read of it tells.
    if (statSync(file).size > LIMITS.secretBytes.value) throw tooLarge(flag);
    return new Redacted(new Uint8Array(readFileSync(file)));
  } catch (cause) {
    if (cause instanceof Error && "syscall" in cause) {
      throw usageError(`${flag}: ${source} cannot be read: ${messageOf(cause)}`, { code: "VALUE_NOT_READABLE", cause });
    }
    throw cause;
  }
}

/** Refuses a value that is empty, too large, or that no environment variable can hold (unless `binary`). */
export function checkedValue(name: string, value: Value, binary: boolean | undefined): Value {
  const bytes = value.reveal();
  if (bytes.length === 0) throw usageError(`the value of secret ${name} is empty`, { code: "EMPTY_SECRET" });
  if (bytes.length > LIMITS.secretBytes.value) throw tooLarge(`secret ${name}`);
  if (!binary && !isEnvironmentText(bytes)) {
    const why = bytes.includes(0) ? "holds a NUL byte" : "is not valid UTF-8";
    throw usageError(`the value of secret ${name} ${why}, so no environment variable can hold it`, {
      code: "BINARY_SECRET",
      hint:
        `to keep these exact bytes, create it with --binary and mount it as a file in the app: ` +
        `new Secret({ key: "${name}", mount: "file" })`,
    });
  }
  return value;
}

async function readAll(io: Io, flag: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const onAbort = () =>
    (io.stdin as NodeJS.ReadableStream & { destroy?(error?: Error): void }).destroy?.(io.signal.reason);
  io.signal.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const chunk of io.stdin) {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      chunks.push(bytes);
      length += bytes.length;
      if (length > LIMITS.secretBytes.value) throw tooLarge(flag);
    }
  } finally {
    io.signal.removeEventListener("abort", onAbort);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function tooLarge(what: string): AppctlError {
  return usageError(`${what}: the value is longer than ${bytesText(LIMITS.secretBytes.value)}`, {
    code: "SECRET_TOO_LARGE",
  });
}

function isFirstLineOfPem(value: Value): boolean {
  const bytes = value.reveal();
  return bytes.length < 100 && /^-----BEGIN [A-Z0-9 ]+-----$/.test(Buffer.from(bytes).toString("latin1"));
}
