import { spawn } from "node:child_process";
import { AppctlError, ExitCode } from "../../core/errors.ts";
import { Redacted } from "../../core/redacted.ts";

/** How long a helper may take, in milliseconds: it may ask a person to unlock a key ring. */
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
): Promise<{ username: string; secret: Redacted<string> } | undefined> {
  const program = `docker-credential-${name}`;
  const failed = (why: string, cause?: unknown) =>
    new AppctlError({
      code: "CREDENTIAL_HELPER_FAILED",
      exit: ExitCode.auth,
      message: `${program}, which keeps the credentials for ${server}, ${why}`,
      hint: `the file with the credentials names it as credsStore or in credHelpers; try: echo ${server} | ${program} get`,
      cause,
    });
  if (!/^[\w.-]+$/.test(name)) throw failed("has a name that no program can have");
  const { code, stdout } = await run(program, server, env, signal).catch((cause: NodeJS.ErrnoException) => {
    signal.throwIfAborted();
    throw failed(cause.code === "ENOENT" ? "is not on the PATH" : "could not be run", cause);
  });
  if (code !== 0) {
    if (/credentials not found/i.test(stdout)) return undefined;
    throw failed(code === null ? "did not answer in time" : `ended with exit code ${code}`);
  }
  try {
    const { Username: username, Secret: secret } = JSON.parse(stdout);
    if (typeof username === "string" && typeof secret === "string") return { username, secret: new Redacted(secret) };
  } catch {
    throw failed("answered with something that is not JSON");
  }
  throw failed("answered without Username and Secret");
}

function run(
  program: string,
  input: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<{ code: number | null; stdout: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ["get"], { env, signal, timeout: TIMEOUT_MS, stdio: ["pipe", "pipe", "ignore"] });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout }));
    child.stdin.on("error", () => undefined); // one that does not read has its answer all the same
    child.stdin.end(`${input}\n`);
  });
}
