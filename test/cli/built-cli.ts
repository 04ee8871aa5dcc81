/** The CLI, built from the sources of this moment into a folder of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { build } from "esbuild";

const repository = join(import.meta.dirname, "..", "..");

/** What a command left. */
export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A built CLI and a home directory for its user. */
export class BuiltCli {
  readonly root = mkdtempSync(join(tmpdir(), "appctl-cli-"));
  readonly home = join(this.root, "home");
  readonly bin = join(this.root, "bin", "appctl.js");

  static async create(): Promise<BuiltCli> {
    const cli = new BuiltCli();
    const { root } = cli;
    for (const folder of ["bin", "home"]) mkdirSync(join(root, folder));
    copyFileSync(join(repository, "package.json"), join(root, "package.json"));
    copyFileSync(join(repository, "bin", "appctl.js"), cli.bin);
    symlinkSync(join(repository, "node_modules"), join(root, "node_modules"));
    symlinkSync(cli.bin, join(root, "bin", "appctl"));
    await build({
      entryPoints: { main: join(repository, "src", "main.ts") },
      outdir: join(root, "dist"),
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "node",
      external: ["esbuild"],
      logLevel: "error",
      banner: {
        js: 'import{createRequire as __appctlRequire}from"node:module";const require=__appctlRequire(import.meta.url);',
      },
    });
    return cli;
  }

  /** The environment of its user: nothing of the caller's but PATH, with appctl on it. */
  env(more: Record<string, string> = {}): Record<string, string> {
    const path = [join(this.root, "bin"), process.env["PATH"] ?? ""].join(delimiter);
    return { PATH: path, HOME: this.home, LANG: "C.UTF-8", ...more };
  }

  /** Starts a command. */
  start(args: string[], more: Record<string, string> = {}, node = process.execPath): ChildProcess {
    return spawn(node, [this.bin, ...args], { cwd: this.home, env: this.env(more), stdio: ["pipe", "pipe", "pipe"] });
  }

  /** Runs a command to its end. */
  async run(args: string[], more: Record<string, string> = {}, stdin?: string): Promise<Finished> {
    const child = this.start(args, more);
    child.stdin?.on("error", () => undefined).end(stdin ?? "");
    let [stdout, stderr] = ["", ""];
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk;
    });
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk;
    });
    const [code, signal] = await once(child, "close");
    return { code, signal, stdout, stderr };
  }

  /** Writes a file into the home directory. */
  file(name: string, content: string): string {
    const path = join(this.home, name);
    writeFileSync(path, content);
    return path;
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
