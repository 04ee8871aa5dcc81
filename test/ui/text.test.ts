import { describe, expect, it } from "vitest";
import { age, bytesText } from "../../src/ui/age.ts";
import { modesIn } from "../../src/ui/argv-modes.ts";
import { cutToWidth, displayWidth, plainLine } from "../../src/ui/plain-text.ts";
import { usesColor } from "../../src/ui/style.ts";
import { fieldLines, tableLines } from "../../src/ui/table.ts";

describe("plainLine", () => {
  it.each([
    ["colour", "\x1b[1;31mred\x1b[0m", "red"],
    ["cursor", "a\x1b[2J\x1b[10;1Hb", "ab"],
    ["title", "\x1b]0;evil\x07text\x1b]8;;http://x\x1b\\link", "textlink"],
    ["8-bit CSI and OSC", "\x9b31mred\x9d0;t\x9cx", "redx"],
    ["a string that never ends", "a\x1bPnothing after", "a"],
    ["a sequence cut short", "a\x1b[12", "a"],
    ["a lone escape", "a\x1b", "a"],
    ["carriage return, backspace, bell, NUL, DEL", "safe\rev\b\x07i\0l\x7f", "safeevil"],
    ["text that turns the direction", "a\u202eb\u2066c", "abc"],
    ["tabs and all other text stay", "\tpässwörd 🔑 漢字", "\tpässwörd 🔑 漢字"],
  ])("%s", (_, text, expected) => expect(plainLine(text)).toBe(expected));
});

describe("widths", () => {
  it.each([
    ["plain", 5],
    ["漢字", 4],
    ["🚀", 2],
    ["👩‍👩‍👧", 2],
    ["e\u0301", 1],
    ["", 0],
  ])("%j is %i wide", (text, width) => expect(displayWidth(text)).toBe(width));

  it("cuts at a character, never in the middle of a wide one", () => {
    expect(cutToWidth("漢字漢字", 6)).toBe("漢字…");
    expect(cutToWidth("漢字", 4)).toBe("漢字");
    expect(cutToWidth("abcdef", 4)).toBe("abc…");
    expect(cutToWidth("abc", 0)).toBe("");
  });
});

describe("tableLines", () => {
  const columns = [
    { title: "NAME", value: (row: string[]) => row[0] ?? "" },
    { title: "NOTE", value: (row: string[]) => row[1] ?? "", min: 6 },
    { title: "URL", value: (row: string[]) => row[2] ?? "" },
  ];
  const rows = [
    ["web", "a rather long note", "http://one.localhost:7654"],
    ["漢字", "\x1b[31mshort\x1b[0m", "http://two.localhost:7654"],
  ];

  it("puts columns below each other, wide characters too, without colour of the data's own", () => {
    expect(tableLines(columns, rows)).toEqual([
      "NAME  NOTE                URL",
      "web   a rather long note  http://one.localhost:7654",
      "漢字  short               http://two.localhost:7654",
    ]);
  });

  it("cuts what may be cut to the terminal's width, and never the URL", () => {
    const lines = tableLines(columns, rows, 45);
    expect(lines.map(displayWidth).every((width) => width <= 45)).toBe(true);
    expect(lines[1]).toBe("web   a rather lo…  http://one.localhost:7654");
  });

  it("leaves out spare columns, then takes short values, before it cuts anything", () => {
    const wide = [
      { title: "NAME", value: () => "web" },
      { title: "REVISION", value: () => "web-00001", short: () => "00001" },
      { title: "AGE", value: () => "2m", spare: true as const },
      { title: "URL", value: () => "http://one.localhost:7654" },
    ];
    const widthsOf = (width: number) => tableLines(wide, [0], width)[1];
    expect(widthsOf(47)).toBe("web   web-00001  2m   http://one.localhost:7654");
    expect(widthsOf(46)).toBe("web   web-00001  http://one.localhost:7654");
    expect(widthsOf(41)).toBe("web   00001     http://one.localhost:7654");
  });

  it("turns into a block of lines for each row where it does not fit", () => {
    expect(tableLines(columns, rows, 30)).toEqual([
      "NAME: web",
      "NOTE: a rather long note",
      "URL:  http://one.localhost:7654",
      "",
      "NAME: 漢字",
      "NOTE: short",
      "URL:  http://two.localhost:7654",
    ]);
  });

  it("leaves out fields without a value", () => {
    expect(
      fieldLines([
        ["Name", "web"],
        ["Image", undefined],
        ["Endpoint", "http://x"],
        ["Type", ""],
      ]),
    ).toEqual(["Name:     web", "Endpoint: http://x"]);
  });
});

it("tells ages and sizes", () => {
  const now = new Date("2026-03-01T12:00:00Z");
  const ago = (seconds: number) => age(new Date(now.getTime() - seconds * 1000).toISOString(), now);
  expect([-5, 0, 59, 60, 3599, 3600, 86_399, 86_400, 8_640_000].map(ago)).toEqual([
    "0s",
    "0s",
    "59s",
    "1m",
    "59m",
    "1h",
    "23h",
    "1d",
    "100d",
  ]);
  expect([0, 1, 1023, 1024, 1536, 1 << 20].map(bytesText)).toEqual([
    "0 bytes",
    "1 byte",
    "1023 bytes",
    "1.0 KiB",
    "1.5 KiB",
    "1.0 MiB",
  ]);
});

it("finds how a failure is to be printed even in wrong arguments", () => {
  expect(modesIn(["depoly", "-o", "json", "--verbose"])).toEqual({
    ...{ output: "json", color: "auto", verbose: true, target: [] },
  });
  expect(modesIn(["get", "apps", "--port=7700", "--project", "p"]).target).toEqual([
    ["--project", "p"],
    ["--port", "7700"],
  ]);
  expect(modesIn(["-ondjson"]).output).toBe("ndjson");
  expect(modesIn(["--output=url", "--color=never"])).toMatchObject({ output: "url", color: "never" });
  expect(modesIn(["-o", "yaml"]).output).toBe("text");
  expect(modesIn(["--", "-o", "json"]).output).toBe("text");
});

it("decides on colour for each stream: flag, NO_COLOR, FORCE_COLOR, terminal, CI", () => {
  const terminal = { write: () => true, isTTY: true };
  const pipe = { write: () => true };
  expect(usesColor(terminal, {})).toBe(true);
  expect(usesColor(pipe, {})).toBe(false);
  expect(usesColor(pipe, {}, "always")).toBe(true);
  expect(usesColor(terminal, {}, "never")).toBe(false);
  expect(usesColor(terminal, { NO_COLOR: "1", FORCE_COLOR: "1" })).toBe(false);
  expect(usesColor(terminal, { NO_COLOR: "" })).toBe(true);
  expect(usesColor(pipe, { FORCE_COLOR: "1" })).toBe(true);
  expect(usesColor(terminal, { FORCE_COLOR: "0" })).toBe(false);
  expect(usesColor(terminal, { CI: "true" })).toBe(false);
  expect(usesColor(terminal, { CI: "true", FORCE_COLOR: "1" })).toBe(true);
  expect(usesColor(terminal, { TERM: "dumb" })).toBe(false);
});
