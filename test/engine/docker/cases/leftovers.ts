/** What is left of apps and of platforms. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { secretFilesRoot } from "../../../../src/engine/local/process/secret-values.ts";
import { builtPrograms, startDoomed } from "../../contract/subjects/process.ts";
import { ref, temporaryDirectory } from "../../helpers.ts";
import type { ContainerCases } from "../container-cases.ts";
import { ContainerGround } from "../container-ground.ts";

export const leftovers: ContainerCases = {
  async "not in the engine and not on the machine when its app is deleted"(on) {
    on.secrets.set("value", Buffer.from("confidential"));
    expect(await on.answerOf("process.env.VALUE", { secrets: [on.pin("value", "VALUE", "env")] })).toBe("confidential");
    const platform = await on.platform();
    const secretDir = secretFilesRoot(platform, on.options.runtimeDir);
    expect(readdirSync(secretDir)).toHaveLength(1);
    expect(await on.tagsOf(platform)).toHaveLength(1);
    await on.engine.delete(ref);
    expect(await on.containers()).toEqual([]);
    expect(await on.tagsOf(platform)).toEqual([]);
    expect(readdirSync(secretDir)).toEqual([]);
    await on.engine.close();
    expect(await on.networksOf(platform)).toEqual([]);
    expect(existsSync(secretDir)).toBe(false);
  },

  async "what a killed platform left is gone when the next one has started"(on) {
    const base = temporaryDirectory();
    const first = await on.program("process.env.VALUE", { secrets: [on.pin("value", "VALUE", "env")] });
    const built = await builtPrograms();
    const wanted = { ref, revisions: [first], traffic: first.name };
    const argument = { base, layout: on.ground.layoutDir, env: on.ground.env, wanted };
    const doomed = await startDoomed(join(built, "doomed-docker-main.mjs"), argument);
    const [left] = await on.containers();
    const platform = left?.Labels["appctl.platform"] ?? "";
    const secretDir = secretFilesRoot(platform, join(base, "run"));
    await doomed.kill();
    expect(await on.containers()).toHaveLength(1);
    expect(await on.networksOf(platform)).toHaveLength(on.networks ? 1 : 0);
    expect(readdirSync(secretDir)).toHaveLength(1);
    await on.open({ stateDir: join(base, "state"), runtimeDir: join(base, "run") });
    expect(on.messages).toEqual(["ended 1 replica(s) that an earlier platform left running"]);
    expect(await on.containers()).toEqual([]);
    expect(await on.networksOf(platform)).toEqual([]);
    expect(existsSync(secretDir)).toBe(false);
  },

  async "another platform on the same engine keeps what is its own"(on) {
    expect(await on.answerOf('"first"')).toBe("first");
    const platform = await on.platform();
    const other = new ContainerGround(on.ground, on.api, on.networks);
    expect(await other.answerOf('"second"')).toBe("second");
    await other.engine.delete(ref);
    await other.engine.close();
    expect(await on.ask()).toBe("first");
    expect(await on.tagsOf(platform)).toHaveLength(1);
    expect(await on.networksOf(platform)).toHaveLength(on.networks ? 1 : 0);
  },
};
