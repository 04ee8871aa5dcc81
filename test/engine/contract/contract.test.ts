/** Holds every engine to the contract. A new engine brings a subject, and joins the list. */

import { fakeSubject } from "./subjects/fake.ts";
import { processSubject } from "./subjects/process.ts";
import { holdToContract } from "./suite.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("SKIPPED the contract with users of their own: only root can run apps as other users");

const subjects = [fakeSubject, processSubject("args"), processSubject("framework")];
if (isRoot) subjects.push(processSubject("framework", { ownUsers: true }));
for (const subject of subjects) holdToContract(subject);
