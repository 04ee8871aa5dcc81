import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Redacted } from "../../../src/core/redacted.ts";
import { pushReferrer } from "../../../src/oci/registry/push-referrer.ts";
import type { Repository } from "../../../src/oci/registry/repository.ts";
import { type FaultProxy, faultProxy } from "../../support/fault-proxy.ts";
import { startPlatform, type TestPlatform } from "../../support/in-process.ts";
import { imageWith, repositoryAt, seen } from "./support.ts";

describe("an artifact about an image, in a registry with the referrers API", () => {
  let platform: TestPlatform;
  let proxy: FaultProxy;
  let repository: Repository;
  beforeAll(async () => {
    platform = await startPlatform();
    proxy = await faultProxy(platform.platform.port);
    const password = new Redacted(readFileSync(join(platform.dir, "state", "admin.key"), "utf8").trim());
    const credentials = { kind: "password" as const, username: "anyone", password };
    repository = repositoryAt(proxy.host, { repository: "team/web-image", credentials });
  });
  afterAll(async () => {
    await repository?.close();
    await proxy?.close();
    await platform?.close();
  });

  it("is listed by that, and no list is pushed under a tag", async () => {
    const { layout, image, referrer } = await imageWith("first");
    expect(await pushReferrer(repository, layout, image.descriptor, referrer.parts)).toEqual({
      descriptor: referrer.descriptor,
    });
    expect(seen(proxy).filter((each) => each.includes("sha256-"))).toEqual([]);
    const asked = { method: "GET" as const, url: repository.url(`referrers/${image.digest}`) };
    const answer = await repository.http.send(
      { ...asked, about: repository.purpose("asked for", image.digest) },
      [200],
    );
    expect(JSON.parse(await answer.body.text()).manifests).toEqual([referrer.descriptor]);
    seen(proxy);
    await pushReferrer(repository, layout, image.descriptor, referrer.parts, { find: true });
    expect(seen(proxy)).toEqual([`HEAD ${referrer.descriptor.digest} 200`]);
  });
});
