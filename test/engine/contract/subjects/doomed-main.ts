/**
 * A platform in a process of its own that serves what its first argument says, and waits to be killed. It prints a lease, then
 * every line of the app's log, as JSON.
 */
import { createLocalEngine } from "../../../../src/engine/local/engine.ts";
import { engineOptions, usersOfTheirOwn } from "../../platform-process.ts";

const { base, wanted, ownUsers } = JSON.parse(process.argv[2] ?? "");
const isolation = ownUsers ? { isolation: usersOfTheirOwn(base) } : {};
const engine = await createLocalEngine({ ...engineOptions(base), ...isolation });
await engine.apply(wanted);
for await (const { ready, cause } of engine.observe(wanted.ref, wanted.traffic, new AbortController().signal)) {
  if (ready === "False") throw new Error(JSON.stringify(cause));
}
process.stdout.write(`${JSON.stringify(engine.lease(wanted.ref))}\n`);
for await (const { line } of engine.logs(wanted.ref, { follow: true, signal: new AbortController().signal })) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
