import type { Figure } from "./figure.ts";
import { changedLine } from "./figures/changed-line.ts";
import { gateway } from "./figures/gateway.ts";
import { idle } from "./figures/idle.ts";
import { images } from "./figures/images.ts";
import { manyDeploys } from "./figures/many-deploys.ts";
import { nothingChanged } from "./figures/nothing-changed.ts";
import { processes } from "./figures/processes.ts";
import { startUp } from "./figures/start-up.ts";
import { waiters } from "./figures/waiters.ts";

/** Every figure, in the order of the table. A new one is a file in `figures/` and a name here. */
export const figures: Figure[] = [
  startUp,
  changedLine,
  nothingChanged,
  gateway,
  processes,
  idle,
  manyDeploys,
  waiters,
  images,
];
