import { describe, expect, it } from "vitest";
import { mergedConfig } from "../../src/image/base-image.ts";
import { EPOCH, type ImageConfig } from "../../src/oci/model.ts";

const upper: ImageConfig = {
  created: EPOCH,
  os: "linux",
  architecture: "amd64",
  config: { Env: ["BOTH=app", "OWN=1"], WorkingDir: "/app" },
  rootfs: { type: "layers", diff_ids: ["sha256:packages"] },
  history: [{ created: EPOCH, created_by: "appctl: packages" }],
};

const base = (config: object) =>
  ({
    created: "2026-01-01T00:00:00Z",
    os: "linux",
    architecture: "amd64",
    config: { Env: [], ...config },
    rootfs: { type: "layers", diff_ids: ["sha256:base"] },
    history: [{ created: "2026-01-01T00:00:00Z", created_by: "somebody" }],
  }) as unknown as ImageConfig;

describe("the configuration of an image on a base", () => {
  it("has what the base says, then what the image says; but not how the base is started, nor its volumes", () => {
    const merged = mergedConfig(
      base({
        Env: ["PATH=/bin", "BOTH=base", "EMPTY="],
        User: "1000",
        WorkingDir: "/home",
        Entrypoint: ["docker-entrypoint.sh"],
        Cmd: ["node"],
        Volumes: { "/data": {} },
        Labels: { from: "base" },
        StopSignal: "SIGTERM",
      }),
      upper,
    );
    expect(merged).toEqual({
      created: EPOCH,
      os: "linux",
      architecture: "amd64",
      config: {
        Env: ["BOTH=app", "EMPTY=", "OWN=1", "PATH=/bin"],
        User: "1000",
        WorkingDir: "/app",
        Labels: { from: "base" },
        StopSignal: "SIGTERM",
      },
      rootfs: { type: "layers", diff_ids: ["sha256:base", "sha256:packages"] },
      history: [
        { created: "2026-01-01T00:00:00Z", created_by: "somebody" },
        { created: EPOCH, created_by: "appctl: packages" },
      ],
    });
  });

  it.each([
    [{ Env: ["PATH=/usr/bin:/bin"], Entrypoint: ["/nodejs/bin/node"] }, "PATH=/nodejs/bin:/usr/bin:/bin"],
    [{ Env: ["PATH=/usr/bin:/bin"], Entrypoint: ["/usr/bin/node"] }, "PATH=/usr/bin:/bin"],
    [
      { Entrypoint: ["/nodejs/bin/node"] },
      "PATH=/nodejs/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ],
  ])("finds the Node that is the base's entry point: %j", (config, path) => {
    expect(mergedConfig(base(config), upper).config.Env).toContain(path);
  });
});
