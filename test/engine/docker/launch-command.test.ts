/** What starts a program with secrets: run for real, by this machine's Node and shell. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { LAUNCH_DIR, type LaunchFile, launchCommand } from "../../../src/engine/local/docker/launch-command.ts";
import { temporaryDirectory } from "../helpers.ts";

const odd = 'it\'s "quoted" $HOME `id` \\ \n tab\t schlüssel 🔑\u2028\r\n';
const none = { variables: {}, token: undefined };

/** Runs a program with its file where the container would have it. */
function run(program: readonly string[], file: LaunchFile | undefined): string {
  const dir = temporaryDirectory();
  if (file) writeFileSync(join(dir, file.name), file.text);
  const [command = "", ...args] = program.map((part) => part.replaceAll(LAUNCH_DIR, dir));
  return execFileSync(command === "node" ? process.execPath : command, args, { encoding: "utf8", env: {} });
}

it("starts a program as it is when there are no secrets", () => {
  expect(launchCommand({ kind: "framework" }, none)).toEqual({
    program: ["node", "--enable-source-maps", "/app/serve.mjs"],
    file: undefined,
  });
  expect(launchCommand({ kind: "args", args: ["node", "main.mjs"] }, none).program).toEqual([
    "node",
    "--enable-source-maps",
    "main.mjs",
  ]);
  expect(launchCommand({ kind: "args", args: ["server", "-p"] }, none).program).toEqual(["server", "-p"]);
  expect(launchCommand({ kind: "command", command: "a | b" }, none).program).toEqual(["/bin/sh", "-c", "a | b"]);
});

it("gives Node its variables byte for byte, and shows none in the arguments", () => {
  const code = "process.stdout.write(process.env.VALUE)";
  const { program, file } = launchCommand(
    { kind: "args", args: ["node", "-e", code] },
    { variables: { VALUE: odd }, token: undefined },
  );
  expect(JSON.stringify(program)).not.toContain("quoted");
  expect(run(program, file)).toBe(odd);
});

it("gives a shell its variables byte for byte, and arguments stay what they are", () => {
  const variables = { VALUE: odd, EMPTY: "" };
  const { program, file } = launchCommand(
    { kind: "args", args: ["/bin/sh", "-c", 'printf "%s|%s|%s" "$VALUE" "$EMPTY" "$0"', "a b"] },
    { variables, token: undefined },
  );
  expect(JSON.stringify(program)).not.toContain("quoted");
  expect(run(program, file)).toBe(`${odd}||a b`);
});

it("gives the token to the program, and not to its threads", () => {
  const worker = 'require("node:worker_threads").parentPort.postMessage(process.env.APPCTL_REPLICA_TOKEN ?? "none")';
  const code = [
    "const own = process.env.APPCTL_REPLICA_TOKEN; delete process.env.APPCTL_REPLICA_TOKEN;",
    `const worker = new (require("node:worker_threads").Worker)(${JSON.stringify(worker)}, { eval: true });`,
    'worker.once("message", (text) => process.stdout.write(own + " " + text));',
  ].join("");
  const { program, file } = launchCommand(
    { kind: "args", args: ["node", "-e", code] },
    { variables: {}, token: "t0ken" },
  );
  expect(run(program, file)).toBe("t0ken none");
});
