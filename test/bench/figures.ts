import type { Figure } from "./figure.ts";
import { changedLine } from "./figures/changed-line.ts";
import { gateway } from "./figures/gateway.ts";
import { nothingChanged } from "./figures/nothing-changed.ts";
import { startUp } from "./figures/start-up.ts";

/** Every figure, in the order of the table. A new one is a file in `figures/` and a name here. */
export const figures: Figure[] = [startUp, changedLine, nothingChanged, gateway];
