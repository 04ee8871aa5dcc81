/** Holds every engine to the contract. A new engine brings a subject, and joins the list. */

import { fakeSubject } from "./subjects/fake.ts";
import { processSubject } from "./subjects/process.ts";
import { holdToContract } from "./suite.ts";

for (const subject of [fakeSubject, processSubject("args"), processSubject("framework")]) holdToContract(subject);
