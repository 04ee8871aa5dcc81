/**
 * A platform in a process of its own that serves what its first argument says, and waits to be killed. It prints a lease, then
 * every line of the app's log, as JSON.
 */

import { engineOptions, usersOfTheirOwn } from "../../platform-process.ts";
import { createProcessEngine } from "../../process-engine.ts";
import { serveUntilKilled } from "./serve-until-killed.ts";

const { base, wanted, ownUsers } = JSON.parse(process.argv[2] ?? "");
const isolation = ownUsers ? { isolation: usersOfTheirOwn(base) } : {};
await serveUntilKilled(await createProcessEngine({ ...engineOptions(base), ...isolation }), wanted);
