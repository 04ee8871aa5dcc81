/** Podman, as a user who is not root has it. See `podman.contract.ts`. */
import { startPodman } from "../docker/podman.ts";
import { groundOf } from "./ground.ts";
import { holdRootless } from "./rootless-cases.ts";

holdRootless(
  "rootless Podman",
  groundOf(() => startPodman("netavark")),
);
