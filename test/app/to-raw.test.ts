import { expect, it } from "vitest";
import { describeModule } from "../../src/app/to-raw.ts";
import { App, type AppOptions } from "../../src/sdk/app.ts";

it("describes the other Apps of a file when the options of one throw as they are listed", () => {
  const options = new Proxy<AppOptions>(
    { name: "hostile", command: "x" },
    {
      ownKeys: () => {
        throw new Error("do not look");
      },
    },
  );
  const { apps } = describeModule({
    hostile: new App(options),
    web: new App({ name: "web", args: ["node", "a.mjs"] }),
  });
  expect(apps.map(({ exports, options }) => [exports, options["name"]])).toEqual([
    [["hostile"], { $odd: "a value that throws when it is read" }],
    [["web"], "web"],
  ]);
});
