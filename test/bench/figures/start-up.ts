import type { Figure } from "../figure.ts";
import { cli, emptyNode, nodeTime } from "../process-time.ts";
import { alternate, compare } from "../statistics.ts";

/** How long the shortest commands take, as whole processes. */
export const startUp: Figure = {
  name: "start-up",
  rows: {
    version: {
      what: "`appctl --version`",
      against: "`node -e 0`",
      unit: "ms",
      target: { of: "ratio", atMost: 1.3 },
      missed: "the launcher, the reading of package.json and the build's first file cost more than the target allows",
    },
    help: {
      what: "`appctl --help`",
      against: "`node -e 0`",
      unit: "ms",
      target: { of: "ratio", atMost: 2 },
      missed: "commander and the whole command tree are loaded to print the page",
    },
  },
  async measure({ rounds }) {
    const command = async (flag: string) =>
      compare(await alternate(rounds(41), () => nodeTime([cli, flag]), emptyNode));
    return { rows: { version: await command("--version"), help: await command("--help") } };
  },
};
