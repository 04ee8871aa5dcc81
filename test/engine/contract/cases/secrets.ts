/** Secrets: byte for byte, in the pinned version, and nowhere else. */
import { expect } from "vitest";
import type { Ground } from "../ground.ts";
import type { Cases } from "../suite.ts";

/** Environment of the replica. */
const environmentOf = async (on: Ground): Promise<Record<string, string>> => JSON.parse(await on.ask("/env"));
/** Bytes of the file whose path stands in a variable. */
const fileOf = async (on: Ground, envVar: string) => Buffer.from(await on.ask(`/file?env=${envVar}`), "base64");

/** A value as a variable: what the program finds in its environment. */
function asVariable(value: string): Cases[string] {
  return async (on) => {
    await on.serveNew("web-00001", {}, { secrets: [on.secret("TOKEN", value)] });
    // Compared as a whole first: a failure must not print 100 KiB.
    expect((await environmentOf(on))["TOKEN"] === value).toBe(true);
  };
}

export const secrets: Cases = {
  "a text arrives in a variable as it is": asVariable("s3cr3t"),
  "line ends of every kind stay, at the end, too": asVariable("one\ntwo\r\nthree\rfour\n"),
  "a PEM file stays as it is": asVariable(
    `-----BEGIN PRIVATE KEY-----\n${"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n".repeat(20)}-----END PRIVATE KEY-----\n`,
  ),
  "text beyond ASCII, and a byte order mark, stay": asVariable("\ufeffschlüssel 🔑 \u0007 日本語"),
  "what a shell would change stays": asVariable(`'single' "double" \`id\` $HOME \${PATH} \\n a=b=c %PATH% ~ * #`),
  "spaces around it stay": asVariable("  around\t "),
  "an empty value is set and empty": asVariable(""),
  "100 KiB fit into a variable": asVariable("0123456789abcde\n".repeat(6_400)),

  async "every byte value arrives in a file"(on) {
    const bytes = Buffer.from(Array.from({ length: 512 }, (_, at) => at % 256));
    await on.serveNew("web-00001", {}, { secrets: [on.secret("TOKEN", bytes, { mount: "file" })] });
    expect((await fileOf(on, "TOKEN")).equals(bytes)).toBe(true);
  },

  async "a file may be empty, or large"(on) {
    const large = Buffer.alloc(1024 * 1024, "large\0");
    const secrets = [on.secret("EMPTY", "", { mount: "file" }), on.secret("LARGE", large, { mount: "file" })];
    await on.serveNew("web-00001", {}, { secrets });
    expect((await fileOf(on, "EMPTY")).length).toBe(0);
    expect((await fileOf(on, "LARGE")).equals(large)).toBe(true);
  },

  async "one secret can be a variable and a file at once"(on) {
    const secret = on.secret("TOKEN", "both\n", { key: "token" });
    await on.serveNew("web-00001", {}, { secrets: [secret, { ...secret, envVar: "TOKEN_FILE", mount: "file" }] });
    expect((await environmentOf(on))["TOKEN"]).toBe("both\n");
    expect(String(await fileOf(on, "TOKEN_FILE"))).toBe("both\n");
  },

  async "a file lies in memory, and not on a disk"(on) {
    await on.serveNew("web-00001", {}, { secrets: [on.secret("TOKEN", "token", { mount: "file" })] });
    expect(await on.ask("/in-memory?env=TOKEN")).toBe("true");
  },

  async "a file is there again after a restart"(on) {
    await on.serveNew("web-00001", {}, { secrets: [on.secret("TOKEN", "again", { mount: "file" })] });
    await on.crashAndRestart(3);
    expect(String(await fileOf(on, "TOKEN"))).toBe("again");
  },

  async "a revision has its pinned version, at a rollback as well"(on) {
    const old = on.secret("TOKEN", "old", { version: 1 });
    const first = await on.serveNew("web-00001", {}, { secrets: [old] });
    const second = await on.revision("web-00002", {}, { secrets: [on.secret("TOKEN", "new", { version: 2 })] });
    expect((await environmentOf(on))["TOKEN"]).toBe("old");
    await on.serve(second);
    expect((await environmentOf(on))["TOKEN"]).toBe("new");
    await on.serve(first);
    expect((await environmentOf(on))["TOKEN"]).toBe("old");
  },

  async "a stored value that cannot be read fails the revision, with its key and version"(on) {
    const secret = on.secret("TOKEN", "gone", { key: "api-token", version: 4 });
    on.stage.secret(secret.id, 4, undefined);
    const conditions = await on.deploy(await on.revision("web-00001", {}, { secrets: [secret] }));
    expect(conditions.map(({ reason }) => reason)).toEqual(["RevisionMissing", "RevisionFailed"]);
    expect(conditions.at(-1)?.cause).toMatchObject({
      code: "SECRET_UNREADABLE",
      message: expect.stringMatching(/^version 4 of the secret api-token cannot be read/),
      hint: expect.stringContaining("api-token"),
    });
    expect(on.replicas).toEqual([]);
  },

  async "bytes that are no text cannot be a variable, and the failure does not show them"(on) {
    for (const [at, bytes] of [Buffer.from("visible\0part"), Buffer.from([0x76, 0xff, 0x69])].entries()) {
      const secret = on.secret("TOKEN", bytes, { key: "tls-key", version: at + 1 });
      const conditions = await on.deploy(await on.revision(`web-0000${at + 1}`, {}, { secrets: [secret] }));
      const cause = conditions.at(-1)?.cause;
      expect(cause).toMatchObject({ code: "SECRET_NOT_TEXT", message: expect.stringContaining("tls-key") });
      expect(JSON.stringify(conditions)).not.toContain("visible");
      expect(on.replicas).toEqual([]);
    }
  },

  async "a secret that fails an update leaves the old revision as it is"(on) {
    const first = await on.serveNew("web-00001", { answer: "one" });
    const secret = on.secret("TOKEN", Buffer.from([0xff]));
    const conditions = await on.deploy(await on.revision("web-00002", {}, { secrets: [secret] }), first);
    expect(conditions.map(({ reason }) => reason)).toEqual(["TrafficNotMigrated", "RevisionFailed"]);
    expect(await on.ask()).toBe("one");
  },

  async "an engine shows a value nowhere by itself"(on) {
    const value = "value-that-nobody-may-see";
    const secrets = [on.secret("TOKEN", value), on.secret("TOKEN_FILE", value, { mount: "file" })];
    const shown: unknown[] = [await on.deploy(await on.revision("web-00001", {}, { secrets }))];
    const lease = on.lease();
    lease.release();
    shown.push(on.replicas, lease, on.engine.facts());
    await on.crashAndRestart(3);
    shown.push(on.replicas, await on.logs());
    expect(JSON.stringify(shown)).not.toContain(value);
    expect((await environmentOf(on))["TOKEN"]).toBe(value);
  },
};
