/** Docker, as a user who is not root has it. See `podman.contract.ts`. */
import { startDockerd } from "../docker/dockerd.ts";
import { groundOf } from "./ground.ts";
import { holdRootless } from "./rootless-cases.ts";

holdRootless(
  "rootless Docker",
  groundOf(() => startDockerd([])),
);
