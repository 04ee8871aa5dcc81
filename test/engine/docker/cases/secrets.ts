/** What nobody reads in the engine. */
import { expect } from "vitest";
import type { PinnedSecret } from "../../../../src/engine/engine.ts";
import { ref, revisionOf } from "../../helpers.ts";
import type { ContainerCases } from "../container-cases.ts";
import { writeProgramImage } from "../images.ts";

export const secrets: ContainerCases = {
  async "it has its values and files, which nobody reads in the engine, and the files where no disk is"(on) {
    on.secrets.set("value", Buffer.from("confidential-value")).set("file", Buffer.from("confidential-file"));
    const body = 'process.env.VALUE + fs.readFileSync(process.env.FILE) + fs.readFileSync("/proc/mounts")';
    const pins = [on.pin("value", "VALUE", "env"), on.pin("file", "FILE", "file")];
    const answer = await on.answerOf(body, { secrets: pins });
    expect(answer).toContain("confidential-valueconfidential-file");
    expect(answer).toMatch(/^tmpfs \/run\/appctl tmpfs ro\b/m);
    const found = JSON.stringify(await on.inspected());
    expect(found).toContain("/run/appctl");
    expect(found).not.toContain("confidential");
    expect(Buffer.from(found).includes(Buffer.from("confidential-value").toString("base64"))).toBe(false);
  },

  async "it cannot change them"(on) {
    on.secrets.set("file", Buffer.from("confidential"));
    const body =
      'attempt(() => fs.writeFileSync(process.env.FILE, "x")) + attempt(() => fs.unlinkSync(process.env.FILE))';
    expect(await on.answerOf(body, { secrets: [on.pin("file", "FILE", "file")] })).toBe("EROFSEROFS");
  },

  async "a shell has to carry them to a command, too"(on) {
    on.secrets.set("value", Buffer.from('it\'s "a" $HOME'));
    const answer = await on.answerOf("process.env.VALUE", {
      spec: { kind: "command", command: "echo started | cat >&2; exec node main.mjs" },
      secrets: [on.pin("value", "VALUE", "env")],
    });
    expect(answer).toBe('it\'s "a" $HOME');
  },

  async "an image without a shell is told when a program other than Node is to get them as variables"(on) {
    await on.open();
    on.secrets.set("value", Buffer.from("confidential"));
    const digest = await writeProgramImage(on.layout, on.ground.base, { "/bin/.wh.sh": "" });
    const revision = (secrets: PinnedSecret[]) =>
      revisionOf(`web-${secrets.length}`, digest, { spec: { kind: "args", args: ["/bin/sleep", "x"] }, secrets });
    expect((await on.deploy(revision([on.pin("value", "VALUE", "env")])))?.cause).toMatchObject({
      code: "NO_SUCH_PROGRAM",
      message: expect.stringMatching(/^the image has no \/bin\/sh, .*"\/bin\/sleep"/),
      hint: expect.stringContaining("mount"),
    });
    // The program itself is there.
    expect((await on.deploy(revision([])))?.cause).toMatchObject({ code: "EXITED", exitCode: 1 });
  },

  async "the engine keeps nothing of what it prints"(on) {
    expect(await on.answerOf('console.log("printed-words") ?? "up"')).toBe("up");
    for await (const { line } of on.engine.logs(ref, { follow: true, signal: new AbortController().signal })) {
      if (line === "printed-words") break;
    }
    expect(await on.keptOutput((await on.container()).Id)).not.toContain("printed-words");
  },
};
