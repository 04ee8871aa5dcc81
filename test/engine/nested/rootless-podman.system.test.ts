import { noPodman } from "../docker/podman.ts";
import { holdNested } from "./hold-nested.ts";

const without = noPodman({ backend: "netavark", rootless: true });
await holdNested({ on: "rootless Podman", file: "rootless-podman.contract.ts", rootless: true, without, atLeast: 20 });
