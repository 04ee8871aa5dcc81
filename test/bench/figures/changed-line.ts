import { World } from "../../e2e/harness.ts";
import type { Figure } from "../figure.ts";
import { HelloApp } from "../hello-app.ts";
import { cli, nodeTime } from "../process-time.ts";
import { alternate, compare } from "../statistics.ts";

/** From a changed line to the new revision, verified at its public address: the whole command, on a platform that runs. */
export const changedLine: Figure = {
  name: "changed-line",
  rows: {
    deploy: {
      what: "one line changed: `appctl deploy apps`, to the proof at the public address",
      against: "the bundled app's own start to its first 200",
      unit: "ms",
      target: { of: "ratio", atMost: 6 },
      missed: "the command's own start and imports, bundling, describing and the app's start follow one another",
    },
  },
  async measure({ rounds }) {
    const world = await World.create();
    try {
      const app = new HelloApp(world);
      await app.bundle();
      let version = 0;
      const deploy = () => {
        app.write(`Hello ${++version}!`);
        return nodeTime([cli, "deploy", "apps", "app.ts", "hello"], { cwd: app.dir, env: world.env });
      };
      // The first makes the environment image and starts the platform.
      await deploy();
      return { rows: { deploy: compare(await alternate(rounds(25), deploy, () => app.bareStart())) } };
    } finally {
      await world.close();
    }
  },
};
