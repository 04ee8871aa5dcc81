import { expect, it } from "vitest";
import { ConsoleSessions } from "../../src/platform/console/sessions.ts";

it("a link to the console works once, and for ten minutes", () => {
  let time = 0;
  const sessions = new ConsoleSessions(
    () => new Date(time),
    () => true,
  );
  const { token } = sessions.createLink("key", "/console/apps");
  expect(sessions.redeemLink(token)).toMatchObject({ key: "key", path: "/console/apps" });
  expect(sessions.redeemLink(token)).toBeUndefined();
  const late = sessions.createLink("key", "/console");
  time = 10 * 60_000;
  expect(sessions.redeemLink(late.token)).toBeUndefined();
});
