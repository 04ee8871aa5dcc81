/** The secrets that a deploy creates: from `--secret`, else from a hidden prompt, else an error that says what to type. */
import type { Client, Scope } from "../../client/client.ts";
import { AppctlError, ExitCode, isAppctlError, usageError } from "../../core/errors.ts";
import { Redacted } from "../../core/redacted.ts";
import type { MissingSecret } from "../../deploy/secrets.ts";
import { canAsk, type Io } from "../../ui/io.ts";
import { commandLine } from "./flags.ts";
import { checkedValue, promptValue, readSource } from "./secret-input.ts";

type Value = Redacted<Uint8Array>;

/** Reads the `--secret` flags (`KEY=@FILE`, `KEY=-`, `KEY=env:VAR`), their values too, with every fault in one error. */
export async function offeredSecrets(io: Io, flags: string[]): Promise<Map<string, Value>> {
  const offered = new Map<string, Value>();
  const faults: { path: string; message: string }[] = [];
  const fromStdin = flags.filter((flag) => flag.endsWith("=-"));
  if (fromStdin.length > 1) throw usageError("only one --secret flag can read stdin (KEY=-)");
  for (const flag of flags) {
    const at = flag.indexOf("=");
    const [key, source] = at < 0 ? [flag, ""] : [flag.slice(0, at), flag.slice(at + 1)];
    const path = `--secret ${at < 0 ? "…" : key}`; // without "=", the whole text may be a value
    try {
      if (key === "" || at < 0) throw usageError("must be KEY=@FILE, KEY=- or KEY=env:VAR");
      if (offered.has(key)) throw usageError("is given twice");
      offered.set(key, await readOffer(io, source));
    } catch (error) {
      if (!isAppctlError(error)) throw error;
      faults.push({ path, message: error.message });
    }
  }
  if (faults.length > 0) throw usageError("invalid --secret", { code: "INVALID_SECRET_FLAG", faults });
  return offered;
}

async function readOffer(io: Io, source: string): Promise<Value> {
  if (source === "-") return readSource(io, "-", "stdin");
  if (source.startsWith("@")) return readSource(io, source.slice(1), "the file");
  if (!source.startsWith("env:")) {
    throw usageError("must be KEY=@FILE, KEY=- or KEY=env:VAR (a value would be visible in the process list)");
  }
  const text = io.env[source.slice(4)];
  if (text === undefined) throw usageError(`the environment variable ${source.slice(4)} is not set`);
  return new Redacted(new Uint8Array(Buffer.from(text, "utf8")));
}

/** What {@link secretProvider} works with. */
export interface ProviderOptions {
  client: Client;
  scope: Scope;
  /** A command to type next, as a session words it. */
  next(words: string[]): string;
  offered: Map<string, Value>;
  /** App that is deployed last; undefined: the file's only one. Apps before it are its dependencies. */
  last: string | undefined;
  /** Called before the terminal is asked, so that nothing animates meanwhile. */
  beforePrompt(): void;
}

/**
 * The `provideSecrets` of a deploy. A `--secret` that exists already stays as it is, and stderr says so; one that no app
 * asks for is a usage error.
 */
export function secretProvider(io: Io, options: ProviderOptions) {
  const used = new Set<string>();
  return async (missing: MissingSecret[], app: string): Promise<Map<string, Value>> => {
    const values = new Map<string, Value>();
    for (const { key, mount } of missing) {
      const value = options.offered.get(key);
      if (!value) continue;
      used.add(key);
      values.set(key, checkedValue(key, value, mount === "file"));
    }
    if (options.last === undefined || options.last === app) await checkUnused(io, options, used, app);
    const unanswered = missing.filter(({ key }) => !values.has(key));
    if (unanswered.length > 0 && !canAsk(io)) throw missingSecrets(unanswered, app, options.scope);
    for (const { key, mount } of unanswered) {
      options.beforePrompt();
      if (isPlatformKey(key)) {
        const create = options.next(["create", "admin-api-key", "--name", key]);
        io.stderr.write(`${key} looks like an API key of the platform. To create one: ${create}\n`);
      }
      const label = `Secret ${key} does not exist yet. Value (hidden): `;
      values.set(key, checkedValue(key, await promptValue(io, label, key), mount === "file"));
    }
    return values;
  };
}

async function checkUnused(io: Io, options: ProviderOptions, used: Set<string>, app: string): Promise<void> {
  const unused = [...options.offered.keys()].filter((key) => !used.has(key));
  if (unused.length === 0) return;
  const existing = new Set((await options.client.listSecrets(options.scope)).map(({ name }) => name));
  const unknown = unused.filter((key) => !existing.has(key));
  if (unknown.length > 0) {
    throw usageError(`${app} has no secret named ${unknown.join(", ")}`, {
      code: "UNKNOWN_SECRET",
      hint: "--secret takes the key of a Secret in the App's `secrets`",
    });
  }
  for (const key of unused) {
    const update = options.next(["update", "secret", "--name", key, "--value-file", "-"]);
    io.stderr.write(`Secret ${key} exists already, unchanged. To change it: ${update}\n`);
  }
}

function missingSecrets(missing: MissingSecret[], app: string, scope: Scope): AppctlError {
  const keys = missing.map(({ key }) => key);
  return new AppctlError({
    code: "MISSING_SECRETS",
    exit: ExitCode.usage,
    message:
      keys.length === 1
        ? `${app} needs the secret ${keys[0]}, which does not exist yet`
        : `${app} needs ${keys.length} secrets that do not exist yet: ${keys.join(", ")}`,
    hint: "create them, or pass --secret KEY=@FILE, KEY=- (stdin) or KEY=env:VAR",
    next: missing.map(({ key, mount }) =>
      isPlatformKey(key)
        ? commandLine(["create", "admin-api-key", "--name", key], scope)
        : commandLine(
            ["create", "secret", "--name", key, "--value-file", "-", ...(mount === "file" ? ["--binary"] : [])],
            scope,
          ),
    ),
  });
}

/** A key of the platform is made by the platform; nobody has one to type in. */
function isPlatformKey(key: string): boolean {
  return /APPCTL_API_KEY/i.test(key);
}
