import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { LeaveToNpm } from "../../../src/packages/npm-cache/leave-to-npm.ts";
import { packageFiles } from "../../../src/packages/npm-cache/tarball.ts";
import { pax, type RawEntry, rawTar } from "./raw-tar.ts";

const filesOf = (archive: Buffer) => packageFiles((at, length) => archive.subarray(at, at + length), archive.length);
const read = (...entries: RawEntry[]) => {
  const archive = rawTar(entries);
  return [...filesOf(archive).values()].map(({ path, executable, start, size }) => ({
    path,
    executable,
    text: archive.toString("utf8", start, start + size),
  }));
};
const long = `package/${"folder/".repeat(20)}file.js`;

describe("the files of a tarball", () => {
  it("are those below its first folder, with the executable bit of their owner", () => {
    expect(
      read(
        { path: "package/package.json", body: "{}" },
        { path: "other/bin/run", body: "#!", mode: 0o755 },
        { path: "package/odd", body: "", mode: 0o611 },
        { path: "package/owner", body: "o", mode: 0o100 },
        { path: "package/ünï", body: "ü" },
        { path: "package/./lib/./a.js", body: "a" },
        { path: "package/lib/a.js", body: "a" },
      ),
    ).toEqual([
      { path: "package.json", executable: false, text: "{}" },
      { path: "bin/run", executable: true, text: "#!" },
      { path: "odd", executable: false, text: "" },
      { path: "owner", executable: true, text: "o" },
      { path: "ünï", executable: false, text: "ü" },
      { path: "lib/a.js", executable: false, text: "a" },
    ]);
  });

  it("are not its links and folders", () => {
    const names = read(
      { path: "package/", type: "5" },
      { path: "package/empty", type: "5" },
      { path: "package/old/" },
      { path: "package/link", type: "2", target: "../../etc/passwd" },
      { path: "package/hard", type: "1", target: "package/a" },
      { path: "package/a", body: "a" },
    );
    expect(names.map(({ path }) => path)).toEqual(["a"]);
  });

  it("have their paths from where the format has put them", () => {
    const names = read(
      { path: "file.js", prefix: "package/deep", body: "1" },
      pax({ path: long, mtime: "1.5", "SCHILY.dev": "3" }),
      { path: "package/short", body: "2" },
      { path: "././@LongLink", type: "L", body: `${long}x\0` },
      { path: "package/short", body: "3", magic: "ustar  \0" },
      { path: "package/v7", body: "4", magic: "\0\0\0\0\0\0\0\0" },
      pax({ comment: "abcdef" }, "g"),
      pax({ size: "5" }),
      { path: "package/sized", body: "five!", size: 0 },
    );
    expect(names).toEqual([
      { path: "deep/file.js", executable: false, text: "1" },
      { path: long.slice(8), executable: false, text: "2" },
      { path: `${long.slice(8)}x`, executable: false, text: "3" },
      { path: "v7", executable: false, text: "4" },
      { path: "sized", executable: false, text: "five!" },
    ]);
  });

  it("have .npmignore for .gitignore, unless there was one before", () => {
    const one = read({ path: "package/a/.gitignore", body: "git" });
    expect(one).toEqual([{ path: "a/.npmignore", executable: false, text: "git" }]);
    const two = read({ path: "package/.npmignore", body: "npm" }, { path: "package/.gitignore", body: "git" });
    expect(two).toEqual([{ path: ".npmignore", executable: false, text: "npm" }]);
  });

  it("may end without an end", () => {
    expect([...filesOf(rawTar([{ path: "package/a", body: "a" }], Buffer.alloc(0))).keys()]).toEqual(["a"]);
    expect([...filesOf(rawTar([{ path: "package/a", body: "a" }], Buffer.alloc(512))).keys()]).toEqual(["a"]);
  });
});

const file = { path: "package/a", body: "a" };
const strange: [what: string, ...entries: RawEntry[]][] = [
  ["a path that leads out", { path: "package/../../evil", body: "x" }],
  ["an absolute path", { path: "/etc/passwd", body: "x" }],
  ["a path that begins with a dot", { path: "./package/a", body: "x" }],
  ["a path with an empty part", { path: "package//a", body: "x" }],
  ["a file without a folder", { path: "a", body: "x" }],
  ["a backslash", { path: "package\\..\\a", body: "x" }],
  ["a backslash in a name", { path: "package/a\\b", body: "x" }],
  ["a control character", { path: "package/a\nb", body: "x" }],
  ["bytes that are no text", { path: "", body: "x", edit: (header) => header.write("package/\xff", 0, "latin1") }],
  ["a name that is too long", pax({ path: `package/${"x".repeat(250)}` }), file],
  ["a path that is too long", pax({ path: `package/${"x/".repeat(600)}y` }), file],
  ["a file twice", file, { ...file, body: "b" }],
  ["a file twice, and once executable", file, { ...file, mode: 0o755 }],
  ["a file twice, by two paths", file, { path: "package/./a", body: "aa" }],
  ["a path of dots", { path: "package/." }],
  ["names that differ in case", file, { path: "package/A" }],
  ["folders that differ in case", { path: "package/a/b" }, { path: "package/A/c" }],
  ["names that differ in how an accent is written", { path: "package/\u00e9" }, { path: "package/e\u0301" }],
  ["a file in a file", file, { path: "package/a/b" }],
  [".npmignore after .gitignore", { path: "package/.gitignore" }, { path: "package/.npmignore", body: "x" }],
  ["packages in it", { path: "package/node_modules/b/index.js" }],
  ["a device", { path: "package/null", type: "3" }],
  ["a fifo", { path: "package/fifo", type: "6" }],
  ["a sparse file", { path: "package/sparse", type: "S" }],
  ["a file of another type", { path: "package/seven", type: "7" }],
  ["a long link of GNU", { path: "././@LongLink", type: "K", body: "x\0" }, file],
  ["a link with a body", { path: "package/l", type: "2", target: "a", body: "body" }],
  ["a folder with a body", { path: "package/d/", type: "5", body: "body" }],
  ["a sparse file of pax", pax({ "GNU.sparse.major": "1" }), file],
  ["a character set", pax({ charset: "BINARY" }), file],
  ["a global header with a path", pax({ path: "package/b" }, "g"), file],
  ["two paths", { path: "L", type: "L", body: "package/b\0" }, pax({ path: "package/c" }), file],
  ["a pax header with a wrong length", { path: "x", type: "x", body: "99 path=package/b\n" }, file],
  ["a pax header with two paths", { path: "x", type: "x", body: "18 path=package/b\n18 path=package/c\n" }, file],
  ["a negative size", pax({ size: "-1" }), file],
  ["a huge size", { path: "package/huge", size: 0o77777777777 }],
  ["a size in base 256", { path: "package/b", edit: (header) => header.writeUInt8(0x80, 124) }],
  ["no mode", { path: "package/b", edit: (header) => header.fill(0, 100, 108) }],
  ["a wrong checksum", { ...file, offSum: 1 }],
  ["another format", { ...file, magic: "nothing!" }],
];

describe("a tarball is left to npm", () => {
  it.each(strange)("with %s", (_, ...entries) => {
    expect(() => read(...entries)).toThrow(LeaveToNpm);
  });

  it("when it is cut off, or goes on after its end", () => {
    const whole = rawTar([file]);
    expect(() => filesOf(whole.subarray(0, 700))).toThrow(LeaveToNpm);
    expect(() => filesOf(whole.subarray(0, 513))).toThrow(LeaveToNpm);
    expect(() => filesOf(rawTar([file], Buffer.concat([Buffer.alloc(512), rawTar([file])])))).toThrow(LeaveToNpm);
  });
});
