import { expect, it } from "vitest";
import { configFrom } from "../../src/oci/documents.ts";

const rootfs = { type: "layers", diff_ids: ["sha256:base"] };

it("reads a configuration as docker import writes it, with null for what it has not", () => {
  const run = { User: "", Env: null, Cmd: null, Volumes: null, WorkingDir: "", Entrypoint: null, Labels: null };
  expect(configFrom({ architecture: "amd64", os: "linux", config: run, rootfs, history: null })).toEqual({
    architecture: "amd64",
    os: "linux",
    config: { User: "", WorkingDir: "", Env: [] },
    rootfs,
    history: [],
  });
});

it("reads one that has nothing but layers, and changes nothing of what is there", () => {
  for (const config of [undefined, null, {}]) expect(configFrom({ config, rootfs })?.config).toEqual({ Env: [] });
  const whole = { config: { Env: ["A=1"], Cmd: ["node"] }, rootfs, history: [{ created: "", created_by: "x" }] };
  expect(configFrom(whole)).toEqual(whole);
});

it("takes nothing of another shape", () => {
  for (const value of [
    null,
    [],
    {},
    { rootfs: { diff_ids: null } },
    { rootfs, config: [] },
    { rootfs, config: { Env: "A=1" } },
    { rootfs, config: { Env: [null] } },
  ]) {
    expect(configFrom(value)).toBeUndefined();
  }
});
