import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RawApp } from "../../src/app/description.ts";
import { parseDuration } from "../../src/app/duration.ts";
import { nearest } from "../../src/app/nearest.ts";
import { describeModule } from "../../src/app/to-raw.ts";
import { type Checked, validateApp } from "../../src/app/validate.ts";
import { APP_OPTIONS } from "../../src/contract/app-options.ts";
import { App, type AppOptions, ImageSpec, Resources, Secret } from "../../src/sdk/index.ts";

const frameworkApp = { fetch: () => new Response("x") };

/** What comes of `new App(options)`, with options that a type checker would refuse. */
function check(options: Record<string, unknown>, others: Record<string, unknown> = {}): Checked {
  const app = new App({ name: "x", frameworkApp, ...options } as unknown as AppOptions);
  const { apps } = describeModule({ app, ...others });
  return validateApp(apps[0] as RawApp, structuredClone(apps).with(0, apps[0] as RawApp));
}

const faults = (options: Record<string, unknown>) =>
  check(options).faults.map(({ path, message, hint }) => `${path} ${message}${hint ? ` | ${hint}` : ""}`);

describe("defaults", () => {
  it("are those of the types", () => {
    const { app, faults: none } = check({});
    expect(none).toEqual([]);
    expect(app).toEqual({
      spec: {
        name: "x",
        kind: "framework",
        port: 8080,
        requiresAuth: true,
        env: {},
        secrets: [],
        limits: {},
        minReplicas: 0,
        maxReplicas: 1,
        requestTimeout: 300,
        startTimeout: 120,
        links: [],
      },
      image: { name: "x-image", packages: [], env: {}, builder: "default" },
      include: [],
      frameworkKind: "fetch",
      dependencies: [],
    });
  });

  it("everything that can be given arrives, in the spec's own units", () => {
    const options = {
      secrets: [
        new Secret({ key: "my-key" }),
        new Secret({ key: "cert.pem", mount: "file" }),
        new Secret({ key: "MY_KEY", envVar: "APPCTL_API_KEY" }),
      ],
      containerImage: {
        name: "org/img",
        packages: ["hono@4.13.19", "@scope/a@^1.2", "zod"],
        env: { A: "1" },
        builder: "default",
        copy: ["assets/**", "!assets/x"],
        force: true,
      },
      limits: new Resources({ cpu: 1, mem: "1Gi" }),
      requests: { cpu: "250m", mem: 1000 },
      port: 8082,
      requiresAuth: false,
      env: { B: "2" },
      include: ["public/**"],
      minReplicas: 1,
      maxReplicas: 3,
      scaledownAfter: "10m",
      scalingMetric: { type: "concurrency", target: 5 },
      inputs: [{ name: "n", value: "v", envVar: "N" }],
      subdomain: "sub",
      customDomain: "a.example",
      links: [{ title: "Docs", path: "/docs" }],
      description: "d",
      type: "api",
      requestTimeout: "90s",
      startTimeout: 5,
      sharedMemory: "1Gi",
      accelerator: "gpu",
      clusterPool: "pool",
    };
    const { app, faults: none } = check(options);
    expect(none).toEqual([]);
    expect(app?.spec).toMatchObject({
      secrets: [
        { key: "my-key", envVar: "my_key", mount: "env" },
        { key: "cert.pem", envVar: "cert_pem_FILE", mount: "file" },
        { key: "MY_KEY", envVar: "APPCTL_API_KEY", mount: "env" },
      ],
      limits: { cpu: "1", mem: "1Gi" },
      requests: { cpu: "250m", mem: "1000" },
      scaledownAfter: 600,
      requestTimeout: 90,
      startTimeout: 5,
    });
    const passed = [
      "port",
      "requiresAuth",
      "env",
      "minReplicas",
      "maxReplicas",
      "scalingMetric",
      "inputs",
      "subdomain",
    ];
    const kept = [
      ...passed,
      "customDomain",
      "links",
      "description",
      "type",
      "sharedMemory",
      "accelerator",
      "clusterPool",
    ];
    for (const key of kept) expect(app?.spec).toHaveProperty(key, (options as Record<string, unknown>)[key]);
    expect(app?.image).toEqual(options.containerImage);
    expect(app?.include).toEqual(["public/**"]);
  });
});

it("an entry point goes with args", () => {
  const { app } = check({ frameworkApp: undefined, args: ["x"], containerImage: { entrypoint: ["node", "cli.js"] } });
  expect(app?.image.entrypoint).toEqual(["node", "cli.js"]);
});

describe("faults", () => {
  it("are all reported at once, each with its path", () => {
    const found = check({
      name: "Not Good",
      port: 70_000,
      requires_auth: false,
      limits: { mem: "1GB", cpus: 1 },
      secrets: [new Secret({ key: "a b" }), "PLAIN", new Secret({ key: "OK" })],
      containerImage: new ImageSpec({ packages: ["hono", "git+ssh://x", "hono@4"], baseImage: "x y" }),
      requestTimeout: "soon",
      env: { "1A": "x", B: 1 as never },
    }).faults;
    expect(found.map(({ path }) => path).sort()).toEqual(
      [
        "name",
        "port",
        "requires_auth",
        "limits.mem",
        "limits.cpus",
        "secrets[0].key",
        "secrets[1]",
        "containerImage.packages[1]",
        "containerImage.packages[2]",
        "containerImage.baseImage",
        "requestTimeout",
        "env",
        "env.B",
      ].sort(),
    );
    const hint = (path: string) => found.find((fault) => fault.path === path)?.hint;
    expect(hint("requires_auth")).toBe('did you mean "requiresAuth"?');
    expect(hint("limits.cpus")).toBe('did you mean "cpu"?');
    expect(hint("secrets[1]")).toContain('new Secret({ key: "PLAIN" })');
  });

  it.each([
    [{ frameworkApp: undefined }, "frameworkApp is missing: give one of frameworkApp, args and command"],
    [{ command: "x" }, "command cannot be combined with frameworkApp"],
    [
      { frameworkApp: { callback: () => 1 } },
      "frameworkApp cannot answer HTTP | it looks like Koa: pass app.callback()",
    ],
    [{ frameworkApp: Promise.resolve(frameworkApp) }, "frameworkApp cannot answer HTTP | it is a Promise"],
    [{ frameworkApp: class Web {} }, "frameworkApp cannot answer HTTP | it is a class"],
    [{ frameworkApp: null }, "frameworkApp cannot answer HTTP"],
    [{ frameworkApp: undefined, args: [] }, "args must not be empty"],
    [{ frameworkApp: undefined, args: "node x.js" }, 'args must be a list, not "node x.js"'],
    [
      { containerImage: new ImageSpec({ registry: "my-org" }) },
      'containerImage.registry must be a registry such as ghcr.io/my-org or localhost:5000: a host with a port of 1 to 65535, and a path in lower case, not "my-org"',
    ],
    [
      { containerImage: new ImageSpec({ registry: "http://ann:sesame@h.test/x" }) },
      'in lower case, not "http://…@h.test/x" | a user and a password are no part of it',
    ],
    [
      { containerImage: new ImageSpec({ baseImage: "localhost:5000/Node" }) },
      'containerImage.baseImage "localhost:5000/Node" is not the name of an image: "Node" is not the name of a repository',
    ],
    [
      { containerImage: new ImageSpec({ name: "a".repeat(129) }) },
      "containerImage.name must be lower-case letters and digits with single '-', '_', '.' or '/' between, at most 128 of them, not",
    ],
    [{ name: undefined }, "name is missing"],
    [{ name: 5 }, "name must be text, not 5"],
    [{ port: "8080" }, 'port must be a number, not "8080"'],
    [{ port: 80.5 }, "port must be a whole number, not 80.5"],
    [{ requiresAuth: "no" }, 'requiresAuth must be true or false, not "no"'],
    [{ description: () => 1 }, "description must be text, not a function"],
    [{ links: [new Date()] }, "links[0] must be an object, not an instance of Date"],
    [{ limits: new Secret({ key: "x" }) }, "limits must be an object, not a Secret"],
    [{ limits: "1Gi" }, 'limits must be an object, not "1Gi"'],
    [{ limits: { cpu: 0 } }, 'limits.cpu must be a number of cores above 0, such as "1", "0.5" or "250m", not "0"'],
    [
      { scalingMetric: { type: "cpu", target: 1 } },
      'scalingMetric.type must be "concurrency" or "request-rate", not "cpu"',
    ],
    [{ minReplicas: 2 }, "minReplicas must not be more than maxReplicas, which is 1 (the default)"],
    [{ minReplicas: -1 }, "minReplicas must be at least 0, not -1"],
    [{ startTimeout: 4000 }, "startTimeout must be at most 3600, not 4000"],
    [{ requestTimeout: 0 }, "requestTimeout must be more than 0, not 0"],
    [{ env: { PORT: "1" } }, "env.PORT sets PORT, which the platform sets itself"],
    [{ env: { K_SERVICE: "1" } }, "env.K_SERVICE sets K_SERVICE"],
    [{ env: { APPCTL_API_KEY: "1" } }, "env.APPCTL_API_KEY sets APPCTL_API_KEY"],
    [{ env: { A: new Secret({ key: "A" }) } }, "env.A must be text, not a Secret"],
    [{ secrets: [new Secret({ key: "A", envVar: "APPCTL_APP" })] }, "secrets[0].envVar sets APPCTL_APP"],
    [{ secrets: [new Secret({ key: "A" })], env: { A: "1" } }, "secrets[0].envVar sets A, which env.A sets already"],
    [
      { secrets: [new Secret({ key: "A" }), new Secret({ key: "B", envVar: "A" })] },
      "secrets[1].envVar sets A, which secrets[0].envVar",
    ],
    [
      { secrets: ["X", new Secret({ key: "A", mount: "disk" as never })] },
      'secrets[1].mount must be "env" or "file", not "disk"',
    ],
    [
      { secrets: [new Secret({ key: "1password" })] },
      'secrets[0].envVar would be "1password", which is no name of a variable',
    ],
    [{ secrets: [new Secret(undefined as never)] }, "secrets[0].key is missing"],
    [{ containerImage: "node:24" }, 'containerImage must be new ImageSpec({ … }), not "node:24"'],
    [{ containerImage: new Resources() }, "containerImage must be new ImageSpec({ … }), not a Resources"],
    [
      { containerImage: { builder: "far" } },
      'containerImage.builder must be "default", "remote" or "docker", not "far"',
    ],
    [{ containerImage: { builder: "remote", commands: ["x"] } }, 'runs programs, and builder "remote" runs none'],
    [
      { containerImage: { builder: "docker", aptPackages: ["curl; id"] } },
      'containerImage.aptPackages[0] must be the name of a Debian package, not "curl; id"',
    ],
    [
      { containerImage: { package: ["hono"] } },
      'containerImage.package is not an option of ImageSpec | did you mean "packages"?',
    ],
    [
      { containerImage: { commands: ["make"] } },
      'containerImage.commands needs a builder that runs programs, and builder "default" runs none | use builder: "docker"',
    ],
    [
      { containerImage: { nodeVersion: 24 } },
      'containerImage.nodeVersion must be text such as "24" or "24.11.1", not 24',
    ],
    [{ containerImage: { nodeVersion: "22.18" } }, "containerImage.nodeVersion must be 22.19 or newer"],
    [{ containerImage: { nodeVersion: "lts" } }, "containerImage.nodeVersion must be text"],
    [
      { containerImage: { nodeVersion: "24", baseImage: "x" } },
      "containerImage.nodeVersion cannot be combined with baseImage, which has its own Node",
    ],
    [{ containerImage: { aptPackages: ["curl"] } }, "containerImage.aptPackages needs a builder that runs programs"],
    [
      { containerImage: { requirements: "requirements.txt" } },
      'containerImage.requirements must be the path of a package-lock.json, pnpm-lock.yaml, yarn.lock or bun.lock, not "requirements.txt"',
    ],
    [
      { containerImage: { requirements: "../bun.lockb" } },
      "containerImage.requirements names a binary lockfile, which only bun can read | bun install --save-text-lockfile writes a bun.lock",
    ],
    [{ containerImage: { requirements: "/a/pnpm-lock.yaml" } }, "containerImage.requirements must be relative"],
    [{ containerImage: { requirements: "/a/package-lock.json" } }, "containerImage.requirements must be relative"],
    [
      { containerImage: { requirements: "package-lock.json", packages: ["hono"] } },
      "containerImage.requirements cannot be combined with packages",
    ],
    [{ containerImage: { copy: "assets" } }, 'containerImage.copy must be a list of globs such as ["assets/**"]'],
    [{ containerImage: { copy: ["ok", 5] } }, "containerImage.copy[1] must be text, not 5"],
    [{ containerImage: { force: "yes" } }, 'containerImage.force must be true or false, not "yes"'],
    [{ containerImage: { entrypoint: ["tini"] } }, "containerImage.entrypoint cannot be combined with frameworkApp"],
    [
      { frameworkApp: undefined, command: "x", containerImage: { entrypoint: ["tini"] } },
      "containerImage.entrypoint cannot be combined with command",
    ],
    [
      { frameworkApp: undefined, args: ["x"], containerImage: { entrypoint: [] } },
      "containerImage.entrypoint must not be empty",
    ],
    [{ containerImage: { packages: ["fastapi==0.115.11"] } }, 'npm writes a pin as "fastapi@0.115.11"'],
    [{ containerImage: { name: "UPPER" } }, "containerImage.name must be lower-case"],
    [{ include: "public" }, "include must be a list"],
    [{ dependencies: ["api"] }, 'dependencies[0] must be an App of this file, not "api"'],
    [
      { dependencies: [new App({ name: "hidden", command: "x" })] },
      "dependencies[0] is an App that this file does not export",
    ],
  ])("%#: %j", (options, expected) => {
    const found = faults(options);
    expect(found.join("\n")).toContain(expected);
  });

  it("a dependency that needs the App itself", () => {
    const a = new App({ name: "a", command: "x", dependencies: [] });
    const b = new App({ name: "b", command: "x", dependencies: [a] });
    (a.options.dependencies as App[]).push(b);
    const { apps } = describeModule({ a, b });
    const checked = apps.map((app) => validateApp(app, apps));
    expect(checked.map(({ faults }) => faults.map(({ path }) => path))).toEqual([
      ["dependencies[0]"],
      ["dependencies[0]"],
    ]);
    expect(checked[0]?.faults[0]?.message).toContain("a → b");
  });

  it("never show what an environment variable holds", () => {
    expect(JSON.stringify(faults({ env: { PORT: "s3cret", A: { x: "s3cret" }, "B C": "s3cret" } }))).not.toContain(
      "s3cret",
    );
  });

  it.each([Symbol("x"), 1n, () => 1, 0, -1, 1000, "x", null, undefined, {}, [], Number.NaN, new Date()])(
    "measure only texts and lists, not what has the length %s",
    (length) => {
      const options = (option: object) => ({ frameworkApp: undefined, ...option });
      expect(faults(options({ args: { length } }))).toEqual(["args must be a list, not an object"]);
      expect(faults(options({ command: { length } }))).toEqual(["command must be text, not an object"]);
      expect(faults({ permissions: { length } })).toEqual(["permissions must be a list, not an object"]);
      expect(faults({ description: { length } })).toEqual(["description must be text, not an object"]);
      expect(faults({ links: { length } })).toEqual(["links must be a list, not an object"]);
      expect(faults({ links: [{ title: { length }, path: "/" }] })).toEqual([
        "links[0].title must be text, not an object",
      ]);
      expect(faults({ inputs: [{ name: { length }, value: "" }] })).toEqual([
        "inputs[0].name must be text, not an object",
      ]);
      expect(faults(options({ args: [{ length }] }))).toEqual(["args[0] must be text, not an object"]);
    },
  );

  it("come for lists and texts that are too short or too long", () => {
    expect(faults({ frameworkApp: undefined, args: [] })).toEqual(["args must not be empty"]);
    expect(faults({ frameworkApp: undefined, command: "" })).toEqual(["command must not be empty"]);
    expect(faults({ description: "x".repeat(501) })).toEqual(["description must have at most 500 characters"]);
    expect(check({ description: "x".repeat(500) }).app?.spec.description).toHaveLength(500);
  });

  const throwing = {
    get boom(): never {
      throw new Error("do not look");
    },
  };
  const fail = (): never => {
    throw new Error("do not look");
  };
  const hostile = new Proxy(
    {},
    {
      // fast-check and vitest look for symbols of theirs.
      get: (_, key) => (typeof key === "symbol" && !String(key).includes("appctl") ? undefined : fail()),
      ownKeys: fail,
      getPrototypeOf: fail,
    },
  );
  it.each([
    ["a getter", { env: Object.defineProperty({}, "A", { get: fail, enumerable: true }) }, "env.A must be text"],
    ["a Proxy", { env: hostile }, "env must be an object of names and texts"],
    ["a Proxy of a list", { secrets: [hostile] }, "secrets[0] must be a Secret"],
    ["a list that throws", { include: new Proxy(["a"], { get: fail }) }, "include must be a list of texts"],
    [
      "a class without a name in text",
      { limits: Object.create({ constructor: { name: Symbol("x") } }) },
      "limits must be an object, not an instance of a class",
    ],
    ["another option", { containerImage: { packages: hostile } }, "containerImage.packages must be a list of packages"],
    ["the image", { containerImage: hostile }, "containerImage must be new ImageSpec({ … })"],
    ["a list of Apps", { dependencies: [hostile] }, "dependencies[0] must be an App of this file"],
    ["a getter of a link", { links: [throwing] }, "links[0].boom is not an option of links"],
  ])("come for what throws when it is read: %s", (_, options, expected) => {
    expect(faults(options).join("\n")).toContain(expected);
  });

  it("name every option that ImageSpec does not have, also those of every object", () => {
    expect(faults({ containerImage: { constructor: "x", toString: "y" } })).toEqual([
      "containerImage.constructor is not an option of ImageSpec",
      "containerImage.toString is not an option of ImageSpec",
    ]);
  });

  it("come for any options at all, without an exception", () => {
    const plain = fc.anything({
      withNullPrototype: true,
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSparseArray: true,
    });
    const odd = fc.constantFrom<unknown>(Symbol("x"), 1n, () => 1, hostile, throwing, class {}, Number.NaN);
    const measured = fc.record({ length: fc.oneof(plain, odd) });
    const anything = fc.oneof(
      plain,
      odd,
      measured,
      fc.array(measured, { maxLength: 2 }),
      fc.dictionary(fc.string(), odd),
    );
    const key = fc.constantFrom(...Object.keys(APP_OPTIONS).filter((name) => name !== "frameworkApp"));
    fc.assert(
      fc.property(fc.dictionary(key, anything), (options) => {
        const checked = check(options);
        expect(checked.app === undefined).toBe(checked.faults.length > 0);
        expect(() => structuredClone(describeModule({ app: new App(options as unknown as AppOptions) }))).not.toThrow();
      }),
      { numRuns: 300 },
    );
  });
});

it("reads durations as seconds", () => {
  const read = [90, "90", "90s", "10m", "1h", "500ms", "1.5h", "1d", "", "x", "1 week", -1, Number.NaN, null].map(
    parseDuration,
  );
  const none = undefined;
  expect(read).toEqual([90, 90, 90, 600, 3600, 0.5, 5400, 86_400, none, none, none, -1, none, none]);
});

it("finds the nearest word", () => {
  expect(nearest("requires_auth", ["requestTimeout", "requiresAuth"])).toBe("requiresAuth");
  expect(nearest("fastapi-wiht-auth", ["fastapi-with-auth", "other"])).toBe("fastapi-with-auth");
  expect(nearest("auth", ["fastapi-with-auth", "other"])).toBe("fastapi-with-auth");
  expect(nearest("zzz", ["front", "api"])).toBeUndefined();
  expect(nearest("x", [])).toBeUndefined();
});
