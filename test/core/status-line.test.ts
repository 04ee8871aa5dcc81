import { expect, it } from "vitest";
import { type StatusStep, statusLine } from "../../src/core/status-line.ts";

it.each<[StatusStep, string]>([
  [{ phase: "Pending", reason: "", message: "App is pending" }, "[Status] Pending: App is pending"],
  [{ phase: "Pending", reason: "RevisionMissing", message: "starting" }, "[Status] Pending: RevisionMissing: starting"],
  [{ phase: "Started", reason: "", message: "" }, "[Status] Started: "],
])("%j", (step, line) => {
  expect(statusLine(step)).toBe(line);
  expect(statusLine(step, (phase) => `<${phase}>`)).toBe(line.replace(/(Pending|Started)/, "<$1>"));
});
