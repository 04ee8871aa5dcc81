/** Holds the engine on processes to the contract, with apps of a framework; as root with a user for each of them. */
import { processSubject } from "./subjects/process.ts";
import { holdToContract } from "./suite.ts";

const ownUsers = process.getuid?.() === 0;
if (!ownUsers) console.warn("left out: the contract with users of their own: only root can run apps as other users");

holdToContract(processSubject("framework", { ownUsers }));
