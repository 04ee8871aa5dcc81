/** Who a container is, what it sees, and where it may write. */
import { expect } from "vitest";
import type { ContainerCases } from "../container-cases.ts";

export const confinement: ContainerCases = {
  async "it is nobody, in no other group"(on) {
    const status = await on.answerOf('fs.readFileSync("/proc/self/status", "utf8")');
    expect(status).toMatch(/^Uid:\t65532\t65532\t65532\t65532$/m);
    expect(status).toMatch(/^Gid:\t65532\t65532\t65532\t65532$/m);
    expect(status).toMatch(/^Groups:\s*(?:65532)?\s*$/m);
  },

  async "it has no capabilities, and none can be had"(on) {
    const status = await on.answerOf('fs.readFileSync("/proc/self/status", "utf8")');
    for (const set of ["Inh", "Prm", "Eff", "Bnd", "Amb"]) expect(status).toMatch(new RegExp(`^Cap${set}:\\t0+$`, "m"));
  },

  async "it can get no new privileges"(on) {
    expect(await on.answerOf('fs.readFileSync("/proc/self/status", "utf8")')).toMatch(/^NoNewPrivs:\t1$/m);
  },

  async "a filter of system calls is on, and what only root does is refused"(on) {
    const body =
      '/^Seccomp:\\t(\\d)$/m.exec(fs.readFileSync("/proc/self/status", "utf8"))[1] + attempt(() => process.setuid(0)) + attempt(() => fs.chownSync("/tmp", 0, 0))';
    expect(await on.answerOf(body)).toBe("2EPERMEPERM");
  },

  async "it sees its own processes alone"(on) {
    const pids = (await on.answerOf('fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name))')).split(",");
    expect(pids.length).toBeLessThan(4);
  },

  async "its root is read only, the app's files, too"(on) {
    const body = '["/x", "/app/x", "/etc/passwd"].map((path) => attempt(() => fs.writeFileSync(path, "x")))';
    expect(await on.answerOf(body)).toBe("EROFS,EROFS,EROFS");
  },

  async "nothing else can be written than what the runtime's facts name, and that is memory; with Podman that is more"(
    on,
  ) {
    const body = `fs.readFileSync("/proc/self/mounts", "utf8").trim().split("\\n").map((line) => line.split(" ")[1]).filter((path) =>
      attempt(() => fs.statSync(path).isDirectory() && fs.writeFileSync(path + "/written", "x") === undefined) === true)
        .map((path) => path + " " + fs.statfsSync(path).type.toString(16)).sort()`;
    const written = ["/dev/shm", ...(on.isPodman ? ["/run"] : []), "/tmp", ...(on.isPodman ? ["/var/tmp"] : [])];
    expect(await on.answerOf(body)).toBe(written.map((path) => `${path} 1021994`).join());
    const { storage } = on.engine.facts().limits;
    expect([...storage.matchAll(/ (\/\S+?),? /g)].map(([, path]) => path).sort()).toEqual(written);
  },

  async "it writes to /tmp up to its limit"(on) {
    const body = `attempt(() => fs.writeFileSync("/tmp/x", Buffer.alloc(3e6))) + " " + fs.statfsSync("/tmp").blocks * fs.statfsSync("/tmp").bsize`;
    expect(await on.answerOf(body, { spec: { limits: { ephemeralStorage: "2Mi" } } })).toBe("ENOSPC 2097152");
  },

  async "/tmp is memory of 256Mi when its App says nothing, and nothing in it can be run"(on) {
    const body = `fs.statfsSync("/tmp").type.toString(16) + " " + fs.statfsSync("/tmp").blocks * fs.statfsSync("/tmp").bsize + " "
          + attempt(() => { fs.writeFileSync("/tmp/run", "#!/bin/sh\\n", { mode: 0o755 }); execFileSync("/tmp/run"); })`;
    expect(await on.answerOf(body)).toBe(`1021994 ${256 * 1024 ** 2} EACCES`);
  },

  async "what it wrote is gone when it is started again"(on) {
    const body = `({ "/exit": () => process.exit(3), "/write": () => fs.writeFileSync("/tmp/kept", "x"),
          "/there": () => fs.existsSync("/tmp/kept") })[req.url]?.()`;
    await on.answerOf(body);
    await on.ask("/write");
    expect(await on.ask("/there")).toBe("true");
    await expect(on.ask("/exit")).rejects.toThrow();
    await on.restarted();
    expect(await on.ask("/there")).toBe("false");
  },

  async "it finds no socket of the engine, and no other container's secrets"(on) {
    on.secrets.set("value", Buffer.from("confidential"));
    const body =
      '["/var/run/docker.sock", "/run/podman", "/dev/shm"].map((path) => attempt(() => fs.statSync(path).isDirectory() ? fs.readdirSync(path).length : "there"))';
    expect(await on.answerOf(body, { secrets: [on.pin("value", "VALUE", "env")] })).toBe("ENOENT,ENOENT,0");
  },
};
