import { World } from "../../e2e/harness.ts";
import type { Figure } from "../figure.ts";
import { HelloApp } from "../hello-app.ts";
import { cli, emptyNode, nodeTime } from "../process-time.ts";
import { alternate, compare } from "../statistics.ts";

/** The same deploy again: the whole command, on a platform that runs. */
export const nothingChanged: Figure = {
  name: "nothing-changed",
  rows: {
    deploy: {
      what: "nothing changed: `appctl deploy apps`",
      against: "`node -e 0`",
      unit: "ms",
      target: { of: "ratio", atMost: 8 },
      missed: "the file is bundled and described each time, since only that shows that nothing has changed",
    },
  },
  async measure({ rounds }) {
    const world = await World.create();
    try {
      const app = new HelloApp(world);
      app.write("Hello!");
      const deploy = () => nodeTime([cli, "deploy", "apps", "app.ts", "hello"], { cwd: app.dir, env: world.env });
      await deploy();
      return { rows: { deploy: compare(await alternate(rounds(31), deploy, emptyNode)) } };
    } finally {
      await world.close();
    }
  },
};
