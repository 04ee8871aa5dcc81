/** What an engine says, read: its output, its answers, its errors. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { EngineApiError, versionFor } from "../../../src/container-engine/docker-api.ts";
import { framesOf } from "../../../src/container-engine/frames.ts";
import { engineSockets } from "../../../src/container-engine/socket.ts";
import { endOf } from "../../../src/engine/local/docker/container-exit.ts";
import { noEngine, notStarted } from "../../../src/engine/local/docker/docker-failures.ts";
import { commonLayers, faultIn } from "../../../src/engine/local/docker/image-loader.ts";
import { specOf, temporaryDirectory } from "../helpers.ts";

function frame(stream: number, text: string): Buffer {
  const bytes = Buffer.from(text);
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
}

it("takes the two streams apart, wherever they are cut", async () => {
  const bytes = Buffer.concat([frame(1, "one\n"), frame(2, "trouble 🔑\n"), frame(1, ""), frame(1, "two\n")]);
  for (let size = 1; size <= bytes.length; size++) {
    async function* cut() {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    }
    const seen = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    for await (const { stream, bytes } of framesOf(cut())) seen[stream].push(bytes);
    expect(String(Buffer.concat(seen.stdout))).toBe("one\ntwo\n");
    expect(String(Buffer.concat(seen.stderr))).toBe("trouble 🔑\n");
  }
});

it("tells how a container ended", () => {
  const facts = { limited: true, killed: false, isPodman: false };
  const end = (ExitCode: number, OOMKilled = false, changes = {}) =>
    endOf({ ExitCode, OOMKilled }, { ...facts, ...changes });
  expect(end(3)).toEqual({ code: 3, signal: null, outOfMemory: false });
  expect(end(0)).toEqual({ code: 0, signal: null, outOfMemory: false });
  expect(end(143)).toEqual({ code: 143, signal: null, outOfMemory: false });
  expect(end(139)).toEqual({ code: null, signal: "SIGSEGV", outOfMemory: false });
  expect(end(137)).toEqual({ code: null, signal: "SIGKILL", outOfMemory: false });
  expect(end(137, true).outOfMemory).toBe(true);
  expect(end(137, false, { isPodman: true }).outOfMemory).toBe(true);
  expect(end(137, false, { isPodman: true, killed: true }).outOfMemory).toBe(false);
  expect(end(137, false, { isPodman: true, limited: false }).outOfMemory).toBe(false);
});

it("speaks an engine's own version, and with a newer one its own newest", () => {
  expect(versionFor("1.41")).toBe("1.41");
  expect(versionFor("1.47")).toBe("1.47");
  expect(versionFor("1.52")).toBe("1.47");
  expect(versionFor("2.0")).toBe("1.47");
});

it("looks for the engine where DOCKER_HOST says, else where engines are", () => {
  expect(engineSockets({ DOCKER_HOST: "unix:///tmp/d.sock", XDG_RUNTIME_DIR: "/run/user/1" })).toEqual(["/tmp/d.sock"]);
  expect(engineSockets({ XDG_RUNTIME_DIR: "/run/user/1" })).toEqual([
    "/var/run/docker.sock",
    "/run/user/1/docker.sock",
    "/run/user/1/podman/podman.sock",
    "/run/podman/podman.sock",
  ]);
  expect(() => engineSockets({ DOCKER_HOST: "tcp://other:2375" })).toThrow(/DOCKER_HOST names tcp:\/\/other:2375/);
});

it("says which layers an image shares with one that the engine has", () => {
  expect(commonLayers([], ["a"])).toBe(0);
  expect(commonLayers(["a", "b"], ["a", "c"])).toBe(1);
  expect(commonLayers(["a", "b"], ["a"])).toBe(1);
  expect(commonLayers(["a"], ["a", "b"])).toBe(1);
  expect(commonLayers(["b"], ["a", "b"])).toBe(0);
});

it("finds an error in an answer that began well", () => {
  expect(faultIn('{"stream":"Loaded image: x"}\n')).toBeUndefined();
  expect(faultIn('{"stream":"an error is in the name"}\n')).toBeUndefined();
  expect(faultIn('{"stream":"a"}\r\n{"errorDetail":{"message":"no space left on device"},"error":"x"}\r\n')).toBe(
    "no space left on device",
  );
});

it("puts what keeps a container from starting in words", () => {
  const spec = specOf({ kind: "args", args: ["nothing"] });
  const runc = 'OCI runtime create failed: runc create failed: exec: "nothing": executable file not found in $PATH';
  expect(notStarted(spec, new EngineApiError(400, runc))).toMatchObject({
    code: "NO_SUCH_PROGRAM",
    message: 'the program "nothing" was not found',
  });
  for (const said of [
    'failed to create shim: OCI runtime create failed: exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown',
    'runc: runc create failed: unable to start container process: exec: "/bin/sh": stat /bin/sh: no such file or directory',
    "crun: executable file `/bin/sh` not found: No such file or directory",
  ]) {
    expect(notStarted(spec, new EngineApiError(400, said))).toMatchObject({
      code: "NO_SUCH_PROGRAM",
      message: 'the image has no /bin/sh, which a program needs to get secrets as variables: "nothing" was not started',
    });
    // Who names the shell itself is told of the program that was named.
    const shell = specOf({ kind: "args", args: ["/bin/sh", "-c", "x"] });
    expect(notStarted(shell, new EngineApiError(400, said)).message).toBe('the program "/bin/sh" was not found');
  }
  const gone = Object.assign(new Error("connect ENOENT /x.sock"), { code: "ENOENT", syscall: "connect" });
  expect(notStarted(spec, gone)).toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
  expect(notStarted(spec, new EngineApiError(400, "Minimum memory limit allowed is 6MB"))).toMatchObject({
    code: "LIMIT_REFUSED",
    message: expect.stringContaining("6MB"),
  });
  expect(notStarted(spec, new Error("else"))).toMatchObject({ code: "ENGINE_ERROR" });
  expect(noEngine([{ socketPath: "/a.sock", error: gone }])).toMatchObject({
    code: "RUNTIME_UNAVAILABLE",
    exit: 6,
    message: expect.stringContaining("/a.sock (ENOENT)"),
    hint: expect.stringContaining("DOCKER_HOST=unix:///"),
    next: ["systemctl start docker", "appctl platform start --runtime process"],
  });
  const dir = temporaryDirectory();
  const closed = Object.assign(new Error("connect EACCES"), { code: "EACCES", syscall: "connect" });
  const said = (name: string) => noEngine([{ socketPath: join(dir, name), error: closed }]);
  // In a closed directory, as root's Podman has one: that there is a socket in it is not known.
  expect(said("docker.sock")).toMatchObject({ hint: expect.stringContaining("DOCKER_HOST=unix:///") });
  for (const [name, hint] of [
    ["docker.sock", "sudo usermod -aG docker"],
    ["podman.sock", "ask its owner"],
  ] as const) {
    writeFileSync(join(dir, name), "");
    expect(said(name)).toMatchObject({
      hint: expect.stringContaining(hint),
      next: ["appctl platform start --runtime process"],
    });
  }
});
