/**
 * The contract on Podman's service. It is no test file of the suite by its name: `podman.sampled.system.test.ts` runs it in a network of its
 * own, since Podman's networks and firewall rules would change the machine.
 */
import { dockerSubject } from "../contract/subjects/docker.ts";
import { holdToContract } from "../contract/suite.ts";
import { holdBuilder } from "../docker/builder-cases.ts";
import { holdContainers } from "../docker/container-cases.ts";
import { startPodman } from "../docker/podman.ts";
import { groundOf } from "./ground.ts";

const ground = groundOf(() => startPodman("cni"));

holdToContract(dockerSubject("podman", "framework", ground), { perArea: 3 });
holdContainers("podman", { networks: true }, ground);
holdBuilder("Podman", ground);
