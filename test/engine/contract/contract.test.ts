/** Holds the fake to the contract of every engine. Other engines are held to it in files of their own: they start processes. */
import { fakeSubject } from "./subjects/fake.ts";
import { holdToContract } from "./suite.ts";

holdToContract(fakeSubject);
