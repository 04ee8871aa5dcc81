/** Holds the engine on processes to the contract where it differs: with programs that are no framework's, and without users of their own. */
import { processSubject } from "./subjects/process.ts";
import { holdToContract } from "./suite.ts";

holdToContract(processSubject("args"));
holdToContract(processSubject("framework"));
