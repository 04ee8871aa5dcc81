import { isLong } from "../../support/amount.ts";
import { noPodman } from "../docker/podman.ts";
import { holdNested } from "./hold-nested.ts";

const without = noPodman({ backend: "cni" });
await holdNested({ on: "Podman", file: "podman.contract.ts", rootless: false, without, atLeast: isLong ? 100 : 50 });
