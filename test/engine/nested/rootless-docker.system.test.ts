import { noRootlessDockerd } from "../docker/dockerd.ts";
import { holdNested } from "./hold-nested.ts";

const without = noRootlessDockerd();
await holdNested({ on: "rootless Docker", file: "rootless-docker.contract.ts", rootless: true, without, atLeast: 20 });
