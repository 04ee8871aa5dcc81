import { spawn } from "node:child_process";
import { AppctlError, ExitCode } from "../../core/errors.ts";
import { Redacted } from "../../core/redacted.ts";

/** How long a helper may take by default, in milliseconds: it may ask a person to unlock a key ring. */
const TIMEOUT_MS = 60_000;

/**
 * Asks `docker-credential-<name>` for the credentials of a server (github.com/docker/docker-credential-helpers: the server on
 * stdin of `get`, JSON on stdout). Undefined when the helper has none. Throws CREDENTIAL_HELPER_FAILED; never shows what the
 * helper wrote, since that may be the secret.
 */
export async function askCredentialHelper(
  name: string,
  server: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
  timeout = TIMEOUT_MS,
): Promise<{ username: string; secret: Redacted<string> } | undefined> {
  const program = `docker-credential-${name}`;
  const failed = (why: string, cause?: unknown) =>
    new AppctlError({
      code: "CREDENTIAL_HELPER_FAILED",
      exit: ExitCode.auth,
      message: `the credential helper ${program} for ${server} ${why}`,
      hint: `the credentials file names it in credsStore or credHelpers; try: echo ${server} | ${program} get`,
      cause,
    });
  if (!/^[\w.-]+$/.test(name)) throw failed("is not the name of a program");
  const options = { env, signal, timeout };
  const { code, ended, timedOut, stdout } = await run(program, server, options).catch(
    (cause: NodeJS.ErrnoException) => {
      signal.throwIfAborted();
      throw failed(cause.code === "ENOENT" ? "is not on the PATH" : "could not be run", cause);
    },
  );
  if (code !== 0) {
    if (/credentials not found/i.test(stdout)) return undefined;
    if (timedOut) throw failed(`did not answer within ${timeout / 1000} seconds`);
    throw failed(ended === null ? `ended with exit code ${code}` : `was killed by ${ended}`);
  }
  try {
    const { Username: username, Secret: secret } = JSON.parse(stdout);
    if (typeof username === "string" && typeof secret === "string") return { username, secret: new Redacted(secret) };
  } catch {
    throw failed("did not answer with JSON");
  }
  throw failed("answered without Username and Secret");
}

function run(
  program: string,
  input: string,
  options: { env: NodeJS.ProcessEnv; signal: AbortSignal; timeout: number },
): Promise<{ code: number | null; ended: NodeJS.Signals | null; timedOut: boolean; stdout: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ["get"], { ...options, stdio: ["pipe", "pipe", "ignore"] });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.once("error", reject);
    // Only the time-out kills it: a stop of the command rejects with an error.
    child.once("close", (code, ended) => resolve({ code, ended, timedOut: child.killed, stdout }));
    child.stdin.on("error", () => undefined); // one that does not read has its answer all the same
    child.stdin.end(`${input}\n`);
  });
}
