/** A run of test files in namespaces of their own, where an engine's bridges and firewall rules change nothing. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One test of such a run. */
export interface NestedTest {
  name: string;
  /** `passed`, or what else became of it, in vitest's words. */
  status: string;
  /** Why it failed, with stacks. */
  messages: string[];
}

const ROOT = join(import.meta.dirname, "..", "..", "..");
/** Below {@link ROOT}. */
const NODE = "node_modules/node/bin/node";
const VITEST = "node_modules/vitest/vitest.mjs";
const CONFIG = "test/engine/nested/vitest.config.ts";

/** Processes and mounts are the run's own, too: when it ends, or who started it is killed, its containers end with it. */
const NAMESPACES = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
/** The first process there: it stays, since it has to bury what its containers leave. */
const FIRST = 'ip link set lo up && cd "$1" && shift && "$@"; exit $?';
/**
 * The same for a user who is not root: he sees the project wherever it lies, has users of his own for those in containers, and
 * may open the device of slirp4netns, which some machines keep for root. All of it is gone with the run.
 */
const FIRST_OF_USER = `set -e
ip link set lo up
mount --bind "$1" "$2/project"
mount --bind "$2/subids" /etc/subuid
mount --bind "$2/subids" /etc/subgid
mount -t tmpfs tmpfs /dev/net
mknod -m 666 /dev/net/tun c 10 200
cd "$2/project"
export HOME="$2/home" TMPDIR="$2/home"
user=$3
shift 3
set +e
setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
exit $?`;
/** When a run that hangs is ended, in milliseconds: many times of what the longest takes. */
const TIMEOUT = 30 * 60_000;
/** Debian's "nobody", whom every machine has. */
const NOBODY = 65534;

interface Report {
  testResults: {
    /** Why the file could not be run. */
    message: string;
    assertionResults: {
      fullName: string;
      status: string;
      failureMessages: string[] | null;
    }[];
  }[];
}

/**
 * Runs the file of this directory, which `vitest.config.ts` takes for one of tests. `rootless`: as a user who is not root. Rejects
 * with the run's output when the file could not be run or its end failed.
 */
export async function runInOwnNetwork(file: string, { rootless = false } = {}): Promise<NestedTest[]> {
  const dir = mkdtempSync(join(tmpdir(), "ae-nested-"));
  try {
    for (const name of ["project", "home"]) mkdirSync(join(dir, name));
    writeFileSync(join(dir, "subids"), "nobody:100000:65536\n");
    chmodSync(dir, 0o755);
    chownSync(join(dir, "home"), NOBODY, NOBODY);
    const report = join(dir, "home", "report.json");
    const args = [
      "run",
      "--config",
      CONFIG,
      "--configLoader=runner",
      `nested/${file}`,
      "--reporter=json",
      `--outputFile.json=${report}`,
    ];
    const first = rootless ? [FIRST_OF_USER, "sh", ROOT, dir, String(NOBODY)] : [FIRST, "sh", ROOT];
    const run = spawn(
      "setpriv",
      ["--pdeathsig", "KILL", "unshare", ...NAMESPACES, "sh", "-c", ...first, NODE, VITEST, ...args],
      // The runner around it tells its workers by these who they are.
      {
        stdio: ["ignore", "pipe", "pipe"],
        env: withoutVitest(process.env),
        timeout: TIMEOUT,
        killSignal: "SIGKILL",
      },
    );
    let output = "";
    for (const stream of [run.stdout, run.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
    const [code] = await once(run, "close");
    const written = readReport(report, output);
    const tests = testsOf(written);
    const failed = tests.some(({ status }) => status === "failed");
    if (tests.length === 0 || (code !== 0 && !failed)) {
      const why = written.testResults.map(({ message }) => message).join("\n");
      throw new Error(`the run failed with code ${code}: ${why}\n${output}`);
    }
    return tests;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function readReport(file: string, output: string): Report {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Error(`the run wrote no report:\n${output}`, { cause: error });
  }
}

function testsOf({ testResults }: Report): NestedTest[] {
  return testResults.flatMap(({ assertionResults }) =>
    assertionResults.map(({ fullName, status, failureMessages }) => ({
      name: fullName,
      status,
      messages: failureMessages ?? [],
    })),
  );
}

function withoutVitest(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(?:VITEST|TEST$|TINYPOOL)/.test(name)));
}
