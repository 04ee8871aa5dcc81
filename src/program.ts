/** The commander tree: names, flags, help. Every action loads its one file of `commands/` when it runs. */
import { type Argument, Command, CommanderError, Option } from "commander";
import { type CommonFlags, nameOf, optionalNameOf, outputError, wholeNumber } from "./commands/shared/flags.ts";
import { pathOf, throwUsage, withoutHelpOfUnknown } from "./commands/shared/wrong-usage.ts";
import { version } from "./core/assets.ts";
import { usageError } from "./core/errors.ts";
import type { Io, OutputMode } from "./ui/io.ts";

const DATA: OutputMode[] = ["text", "json"];
const DEPLOY: OutputMode[] = ["text", "json", "ndjson", "url"];
const GLOBAL = "Global options:";

/** Runs one command line (without `node` and the script). Throws whatever the command throws; wrong usage is exit 2. */
export async function runProgram(io: Io, argv: readonly string[]): Promise<void> {
  const args = argv[0] === "help" ? [...argv.slice(1), "--help"] : argv;
  const program = createProgram(io, args[0]);
  if (argv.length === 0) return program.outputHelp();
  try {
    await program.parseAsync(withoutHelpOfUnknown(program, args), { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return; // help or the version was printed
    throw error;
  }
}

/** What stands below the root: words that a command line begins with, and what makes their commands. */
const VERBS: { words: string[]; add(program: Command, io: Io): void }[] = [
  {
    words: ["create"],
    add: (program, io) => addCreate(group(program, "create", "create a secret or an API key"), io),
  },
  { words: ["deploy"], add: (program, io) => addDeploy(group(program, "deploy", "deploy an app"), io) },
  { words: ["build"], add: addBuild },
  { words: ["get"], add: (program, io) => addGet(group(program, "get", "show apps, secrets, API keys"), io) },
  { words: ["update"], add: (program, io) => addUpdate(group(program, "update", "change a secret"), io) },
  {
    words: ["delete"],
    add: (program, io) => addDelete(group(program, "delete", "delete an app, a secret, an API key"), io),
  },
  { words: ["stop", "start", "logs", "attach", "rollback", "open"], add: addLifecycle },
  {
    words: ["images", "prune"],
    add: (program, io) =>
      addImages(program, group(program, "prune", "remove what nothing needs: images, this machine's cache"), io),
  },
  {
    words: ["platform"],
    add: (program, io) => addPlatform(group(program, "platform", "the local platform: start, stop, status, logs"), io),
  },
];

/**
 * Every command of appctl; or, when the first word of a command line is one of them, only those that are made with it: all
 * of them take longer than Node takes to start a thread.
 */
export function createProgram(io: Io, first?: string): Command {
  const program = new Command("appctl")
    .description("One TypeScript file with a web app in it, one command, and there is a live, authenticated endpoint.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand(false)
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => undefined, // the process edge prints it
      getOutHelpWidth: () => (io.stdout.isTTY && io.stdout.columns) || 100,
      getErrHelpWidth: () => (io.stderr.isTTY && io.stderr.columns) || 100,
    })
    .configureHelp({
      commandUsage: (command) => `${pathOf(command)} ${command.usage()}`,
      commandDescription: (command) => sentence(command.description()),
      subcommandTerm: (command) => [command.name(), ...command.registeredArguments.map(argumentTerm)].join(" "),
      groupItems: (unsorted, visible, getGroup) => {
        const groups = new Map<string, typeof visible>();
        for (const item of unsorted) if (getGroup(item) !== GLOBAL) groups.set(getGroup(item), []);
        for (const item of visible) groups.set(getGroup(item), [...(groups.get(getGroup(item)) ?? []), item]);
        return groups;
      },
    })
    .addHelpText("after", ROOT_HELP);
  throwUsage(program);
  common(program, DEPLOY, true);
  const meant = VERBS.filter(({ words }) => first !== undefined && words.includes(first));
  for (const { add } of meant.length > 0 ? meant : VERBS) add(program, io);
  return program;
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : ".");
const argumentTerm = (argument: Argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`);

const ROOT_HELP = `
Every command says more about itself: appctl deploy apps --help

Get started:
  $ appctl create secret --name AUTH_API_KEY
  $ appctl create admin-api-key --name MY_APPCTL_API_KEY
  $ appctl deploy apps app.ts fastapi-with-auth

Environment:
  APPCTL_API_KEY       key of a platform, with its address in it; without one, the local platform is used
  APPCTL_API_KEY_FILE  file with such a key
  APPCTL_PROJECT, APPCTL_DOMAIN, APPCTL_ENDPOINT, APPCTL_PORT, APPCTL_CONFIG, APPCTL_REGISTRY, APPCTL_RUNTIME  as the flags
  APPCTL_BASE_IMAGE    base of images that name none, where they are pushed or run in containers

Exit codes:
  0 ok, 1 the deploy failed, 2 usage, 3 not allowed, 4 not found, 5 conflict, 6 unavailable, 7 build failed,
  8 timed out, 70 a bug in appctl, 130 interrupted, 143 terminated`;

function addCreate(create: Command, io: Io): void {
  secretValueFlags(
    leaf(create, "secret", ["secrets"], DATA, {
      summary: "store a secret; the value comes from a hidden prompt, a file or stdin",
      examples: [
        "appctl create secret --name AUTH_API_KEY",
        "appctl create secret --name TLS_KEY --value-file key.pem",
        'printf %s "$TOKEN" | appctl create secret --name TOKEN --value-file -',
      ],
    }).argument("[name]", "name of the secret"),
  )
    .option("--if-absent", "succeed when it exists already, and leave it as it is")
    .action(
      act<Named & import("./commands/write-secret.ts").SecretFlags>(DATA, async (flags, name) => {
        const { createSecret } = await import("./commands/write-secret.ts");
        await createSecret(io, nameOf("secret", name, flags.name), flags);
      }),
    );

  const createKey = async (flags: KeyFlags, name: string | undefined) => {
    const { createApiKey } = await import("./commands/create-api-key.ts");
    await createApiKey(io, nameOf("API key", name, flags.name), flags);
  };
  const keyFlags = (command: Command) =>
    command
      .option("--name <name>", "name of the key, and of the secret that it is stored as")
      .option("--no-secret", "do not store the key as a secret")
      .option("--if-absent", "succeed when a key of this name exists already");
  keyFlags(
    leaf(create, "admin-api-key", [], DATA, {
      summary: "make an API key, show it once and store it as a secret of its name",
      examples: [
        "appctl create admin-api-key --name MY_APPCTL_API_KEY",
        "APPCTL_API_KEY=$(appctl create admin-api-key --name CI --no-secret)",
      ],
    }).argument("[name]", "name of the key"),
  ).action(act<KeyFlags>(DATA, createKey));
  keyFlags(
    leaf(create, "api-key", [], DATA, {
      summary: "the same as create admin-api-key",
      examples: ["appctl create api-key admin --name MY_APPCTL_API_KEY"],
    }).argument("<kind>", "admin"),
  ).action(
    act<KeyFlags>(DATA, async (flags, kind) => {
      if (kind !== "admin") throw usageError(`"${kind}" is not a kind of API key`, { hint: "the kind is admin" });
      await createKey(flags, undefined);
    }),
  );
}

const REGISTRY_HELP = "registry that the image goes to, such as ghcr.io/my-org (default: what the image says)";

function addDeploy(deploy: Command, io: Io): void {
  waitFlags(
    leaf(deploy, "apps", ["app"], DEPLOY, {
      summary: "deploy an app of a file and wait until it serves at its public address",
      examples: [
        "appctl deploy apps app.ts fastapi-with-auth",
        "appctl deploy apps app.ts --secret AUTH_API_KEY=env:AUTH_API_KEY -o json",
        "appctl deploy apps app.ts web --no-wait",
      ],
    })
      .argument("<file>", "TypeScript file that exports the App")
      .argument("[name]", "name of the App; needed when the file has several")
      .option(
        "--secret <key=source>",
        "create a secret that does not exist yet: KEY=@FILE, KEY=- (stdin), KEY=env:VAR; may be repeated",
        (value: string, all: string[] = []) => [...all, value],
      )
      .option("--registry <address>", REGISTRY_HELP)
      .option("--allow-scripts", "let npm packages run their install scripts"),
  ).action(
    act<import("./commands/deploy-apps.ts").DeployFlags & Detach>(DEPLOY, async (flags, file, name) => {
      const { deployApps } = await import("./commands/deploy-apps.ts");
      await deployApps(io, file as string, name, waiting(flags));
    }),
  );
}

function addBuild(program: Command, io: Io): void {
  leaf(program, "build", [], DATA, {
    summary: "build the image of an app of a file, without deploying it",
    examples: [
      "appctl build app.ts fastapi-with-auth",
      "appctl build app.ts fastapi-with-auth --registry ghcr.io/my-org --push",
      "appctl build app.ts web --push -o json",
    ],
  })
    .argument("<file>", "TypeScript file that exports the App")
    .argument("[name]", "name of the App; needed when the file has several")
    .option("--registry <address>", REGISTRY_HELP)
    .option("--push", "bring it to the registry; without, it stays among the images of this machine")
    .option("--allow-scripts", "let npm packages run their install scripts")
    .action(
      act<import("./commands/build.ts").BuildFlags>(DATA, async (flags, file, name) =>
        (await import("./commands/build.ts")).build(io, file as string, name, flags),
      ),
    );
}

function addImages(program: Command, prune: Command, io: Io): void {
  leaf(program, "images", [], DATA, {
    summary: "list the images that the platform stores, and the revisions that run them",
    examples: ["appctl images", "appctl images -o json"],
  }).action(act<CommonFlags>(DATA, async (flags) => (await import("./commands/images.ts")).listImages(io, flags)));
  leaf(prune, "images", ["image"], DATA, {
    summary: "remove images that no revision needs; what was used in the last hour stays",
    examples: ["appctl prune images --dry-run", "appctl prune images"],
  })
    .option("--dry-run", "only say what would be removed")
    .action(
      act<import("./commands/prune-images.ts").PruneFlags>(DATA, async (flags) =>
        (await import("./commands/prune-images.ts")).pruneImages(io, flags),
      ),
    );
  leaf(prune, "cache", [], DATA, {
    summary: "remove what of this machine's cache was not used in the last hour: images, unpacked packages",
    examples: ["appctl prune cache --dry-run", "appctl prune cache"],
  })
    .option("--dry-run", "only say what would be removed")
    .action(
      act<import("./commands/prune-images.ts").PruneFlags>(DATA, async (flags) =>
        (await import("./commands/prune-cache.ts")).pruneCache(io, flags),
      ),
    );
}

function addGet(get: Command, io: Io): void {
  const outputs: OutputMode[] = ["text", "json", "url"];
  leaf(get, "apps", ["app"], outputs, {
    summary: "list the apps, or show one",
    examples: ["appctl get apps", "appctl get apps fastapi-with-auth -o json", "curl $(appctl get apps web -o url)/"],
  })
    .argument("[name]", "name of the app")
    .action(
      act<CommonFlags>(outputs, async (flags, name) =>
        (await import("./commands/get-apps.ts")).getApps(io, optionalNameOf(name, undefined), flags),
      ),
    );
  leaf(get, "secret", ["secrets"], DATA, {
    summary: "list the secrets, or show what is known of one; never a value",
    examples: ["appctl get secrets", "appctl get secret --name AUTH_API_KEY"],
  })
    .argument("[name]", "name of the secret")
    .option("--name <name>", "the same")
    .option("--scope <scope>", "project, domain or organization")
    .action(
      act<Named & { scope?: string }>(DATA, async (flags, name) =>
        (await import("./commands/get-secret.ts")).getSecret(io, optionalNameOf(name, flags.name), flags),
      ),
    );
  leaf(get, "api-key", ["api-keys"], DATA, {
    summary: "list the API keys, or show what is known of one; never the key",
    examples: ["appctl get api-keys", "appctl get api-key MY_APPCTL_API_KEY -o json"],
  })
    .argument("[name]", "name of the key")
    .option("--name <name>", "the same")
    .action(
      act<Named>(DATA, async (flags, name) =>
        (await import("./commands/get-api-key.ts")).getApiKey(io, optionalNameOf(name, flags.name), flags),
      ),
    );
}

function addUpdate(update: Command, io: Io): void {
  secretValueFlags(
    leaf(update, "secret", ["secrets"], DATA, {
      summary: "give a secret a new value; running revisions keep the one that they were deployed with",
      examples: [
        "appctl update secret --name AUTH_API_KEY",
        "appctl update secret AUTH_API_KEY --value-file - < new-key.txt",
      ],
    }).argument("[name]", "name of the secret"),
  ).action(
    act<Named & import("./commands/write-secret.ts").SecretFlags>(DATA, async (flags, name) => {
      const { updateSecret } = await import("./commands/write-secret.ts");
      await updateSecret(io, nameOf("secret", name, flags.name), flags);
    }),
  );
}

function addDelete(remove: Command, io: Io): void {
  leaf(remove, "apps", ["app"], DATA, {
    summary: "delete an app and its revisions; its secrets stay",
    examples: ["appctl delete apps fastapi-with-auth", "appctl delete apps fastapi-with-auth --yes"],
  })
    .argument("<name>", "name of the app")
    .option("-y, --yes", "do not ask")
    .action(
      act<CommonFlags & { yes?: boolean }>(DATA, async (flags, name) =>
        (await import("./commands/delete-apps.ts")).deleteApps(io, nameOf("app", name, undefined), flags),
      ),
    );
  leaf(remove, "secret", ["secrets"], DATA, {
    summary: "delete a secret with all its versions",
    examples: ["appctl delete secret --name AUTH_API_KEY"],
  })
    .argument("[name]", "name of the secret")
    .option("--name <name>", "the same")
    .option("--scope <scope>", "project, domain or organization")
    .action(
      act<Named & { scope?: string }>(DATA, async (flags, name) =>
        (await import("./commands/delete-secret.ts")).deleteSecret(io, nameOf("secret", name, flags.name), flags),
      ),
    );
  leaf(remove, "api-key", ["api-keys"], DATA, {
    summary: "revoke an API key; the next request with it is refused",
    examples: ["appctl delete api-key MY_APPCTL_API_KEY"],
  })
    .argument("[name]", "name of the key")
    .option("--name <name>", "the same")
    .action(
      act<Named>(DATA, async (flags, name) =>
        (await import("./commands/delete-api-key.ts")).deleteApiKey(io, nameOf("API key", name, flags.name), flags),
      ),
    );
}

/** What is done with an app that is deployed. */
function addLifecycle(program: Command, io: Io): void {
  const follow = <F extends import("./commands/shared/follow-deployment.ts").FollowFlags>(
    run: (flags: F, name: string, more: string | undefined) => Promise<void>,
  ) => act<F & Detach>(DEPLOY, (flags, name, more) => run(waiting(flags), nameOf("app", name, undefined), more));

  leaf(group(program, "stop", "stop an app"), "apps", ["app"], DATA, {
    summary: "stop an app: its address answers 503 until it is started again",
    examples: ["appctl stop apps fastapi-with-auth"],
  })
    .argument("<name>", "name of the app")
    .action(
      act<CommonFlags>(DATA, async (flags, name) =>
        (await import("./commands/stop-apps.ts")).stopApps(io, nameOf("app", name, undefined), flags),
      ),
    );

  waitFlags(
    leaf(group(program, "start", "start a stopped app"), "apps", ["app"], DEPLOY, {
      summary: "start a stopped app and wait until it serves",
      examples: ["appctl start apps fastapi-with-auth"],
    }).argument("<name>", "name of the app"),
  ).action(follow(async (flags, name) => (await import("./commands/start-apps.ts")).startApps(io, name, flags)));

  const logOutputs: OutputMode[] = ["text", "json", "ndjson"];
  leaf(group(program, "logs", "show an app's output"), "apps", ["app"], logOutputs, {
    summary: "show what an app has written, oldest first",
    examples: [
      "appctl logs apps fastapi-with-auth --tail 50",
      "appctl logs apps fastapi-with-auth -f",
      "appctl logs apps fastapi-with-auth --since 10m -o ndjson",
    ],
  })
    .argument("<name>", "name of the app")
    .option("-f, --follow", "go on with new lines until Ctrl-C")
    .option("--tail <lines>", "only the last lines")
    .option("--since <duration>", "only what is younger, such as 10m or 1h; or a time, such as 2026-01-31T08:00:00Z")
    .action(
      act<import("./commands/logs-apps.ts").LogFlags>(logOutputs, async (flags, name) =>
        (await import("./commands/logs-apps.ts")).logsApps(io, nameOf("app", name, undefined), flags),
      ),
    );

  waitFlags(
    leaf(program, "attach", [], DEPLOY, {
      summary: "join a deploy again and wait for its verdict",
      examples: ["appctl attach fastapi-with-auth", "appctl attach fastapi-with-auth --deployment 3"],
    })
      .argument("<name>", "name of the app")
      .option("--deployment <number>", "number of the deploy (default: the latest)"),
  ).action(
    follow<import("./commands/shared/follow-deployment.ts").FollowFlags & { deployment?: string }>(
      async (flags, name) => (await import("./commands/attach.ts")).attach(io, name, flags),
    ),
  );

  waitFlags(
    leaf(program, "rollback", [], DEPLOY, {
      summary: "give an earlier revision the traffic, with the secrets that it had",
      examples: ["appctl rollback fastapi-with-auth", "appctl rollback fastapi-with-auth fastapi-with-auth-00003"],
    })
      .argument("<name>", "name of the app")
      .argument("[revision]", "name of the revision (default: the one before)"),
  ).action(
    follow(async (flags, name, revision) =>
      (await import("./commands/rollback.ts")).rollback(io, name, revision, flags),
    ),
  );

  const linkOutputs: OutputMode[] = ["text", "json", "url"];
  leaf(program, "open", [], linkOutputs, {
    summary: "print a link that signs a browser in to the console, once",
    examples: ["appctl open", "appctl open fastapi-with-auth --browser"],
  })
    .argument("[app]", "name of an app whose page to open")
    .option("--browser", "also open it in the desktop's browser")
    .action(
      act<CommonFlags & { browser?: boolean }>(linkOutputs, async (flags, app) =>
        (await import("./commands/open.ts")).open(io, optionalNameOf(app, undefined), flags),
      ),
    );
}

function addPlatform(platform: Command, io: Io): void {
  type StartFlags = import("./commands/shared/start-flags.ts").StartFlags;
  const serverFlags = (command: Command) =>
    command
      .option("--host <address>", "address to listen on (default: as before, at first 127.0.0.1)")
      .option(
        "--base-domain <domain>",
        "what apps' sub-domains stand before (default: as before, at first apps.localhost)",
      )
      .option(
        "--url <url>",
        "public address of the API and the console (default: as before, at first http://localhost:PORT)",
      )
      .option(
        "--runtime <name>",
        "what runs the apps: process, or docker for containers (default: as before, at first process)",
      );
  serverFlags(
    leaf(platform, "start", [], DATA, {
      summary: "start the local platform; other commands do so by themselves",
      examples: [
        "appctl platform start",
        "appctl platform start --runtime docker",
        "appctl platform start --host 0.0.0.0 --base-domain apps.example.com --url https://example.com",
      ],
    }),
  )
    .option("--foreground", "run it in this process, with its log on stderr")
    .action(
      act<StartFlags>(DATA, async (flags) => (await import("./commands/platform-start.ts")).platformStart(io, flags)),
    );
  leaf(platform, "stop", [], DATA, {
    summary: "stop the local platform gracefully; its apps come back when it starts",
    examples: ["appctl platform stop"],
  }).action(
    act<CommonFlags>(DATA, async (flags) => (await import("./commands/platform-stop.ts")).platformStop(io, flags)),
  );
  leaf(platform, "status", [], DATA, {
    summary: "show the platform that commands go to; starts nothing, exit 6 when none runs",
    examples: ["appctl platform status", "appctl platform status -o json"],
  }).action(
    act<CommonFlags>(DATA, async (flags) => (await import("./commands/platform-status.ts")).platformStatus(io, flags)),
  );
  leaf(platform, "logs", [], ["text"], {
    summary: "show the local platform's own log",
    examples: ["appctl platform logs --tail 50", "appctl platform logs -f"],
  })
    .option("-f, --follow", "go on with new lines until Ctrl-C")
    .option("--tail <lines>", "only the last lines (default: 200)")
    .action(
      act<CommonFlags & { follow?: boolean; tail?: string }>(["text"], async (flags) =>
        (await import("./commands/platform-logs.ts")).platformLogs(io, flags),
      ),
    );
  serverFlags(
    leaf(
      platform,
      "run",
      [],
      ["text"],
      { summary: "run the platform in this process", examples: ["appctl platform run --port 7654"] },
      true,
    ),
  ).action(
    act<StartFlags>(["text"], async (flags) => (await import("./commands/platform-run.ts")).platformRun(io, flags)),
  );
}

type Named = CommonFlags & { name?: string };
type KeyFlags = Named & import("./commands/create-api-key.ts").ApiKeyFlags;
type Detach = { detach?: boolean };

/** `--detach` is another name for `--no-wait`. */
function waiting<F extends { wait: boolean } & Detach>(flags: F): F {
  return { ...flags, wait: flags.wait && !flags.detach };
}

function waitFlags(command: Command): Command {
  return command
    .option("--wait-timeout <duration>", "how long to wait for the verdict, such as 90s or 10m (default: 600s)")
    .option("--no-wait", "end as soon as the platform has accepted it")
    .option("--detach", "the same as --no-wait");
}

function secretValueFlags(command: Command): Command {
  return command
    .option("--name <name>", "the same")
    .option("--scope <scope>", "who sees it: project, domain or organization (default: project)")
    .option("--value-file <file>", "file with the value, - for stdin; every byte counts")
    .option("--value <value>", "the value itself; it shows in the process list")
    .option("--binary", "allow bytes that no environment variable can hold, for secrets that are mounted as files");
}

const EXAMPLES = new WeakMap<Command, string[]>();
const exampleText = (lines: string[]) => `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`;

/** A verb that stands before a noun. */
function group(program: Command, name: string, summary: string): Command {
  const command = program.command(name).description(summary).helpCommand(false);
  // One example of each noun: the verb alone does nothing.
  command.addHelpText("after", () => exampleText(command.commands.flatMap((noun) => EXAMPLES.get(noun)?.[0] ?? [])));
  throwUsage(command);
  return common(command, DEPLOY, true);
}

function leaf(
  parent: Command,
  name: string,
  aliases: string[],
  outputs: OutputMode[],
  help: { summary: string; examples: string[] },
  hidden = false,
): Command {
  const command = parent.command(name, { hidden }).aliases(aliases).description(help.summary);
  if (!hidden) EXAMPLES.set(command, help.examples);
  command.addHelpText("after", exampleText(help.examples));
  throwUsage(command);
  return common(command, outputs);
}

/** The options that every command has. They have no defaults here, since they may also stand before the verb. */
function common(command: Command, outputs: OutputMode[], hidden = false): Command {
  const options = [
    new Option("-o, --output <mode>", outputs.join(", ")),
    new Option("--project <name>", "project (default: default)"),
    new Option("--domain <name>", "domain (default: development)"),
    new Option("--config <file>", "configuration file"),
    new Option("--endpoint <url>", "address of the platform"),
    new Option("--port <number>", "port of the local platform (default: 7654)").argParser((text) =>
      wholeNumber("--port", text, 1, 65_535),
    ),
    new Option("--color <when>", "colour").choices(["auto", "always", "never"]),
    new Option("--verbose", "show where the time of a deploy went, and the stack of an error"),
  ];
  for (const option of options) command.addOption(option.helpGroup(GLOBAL).hideHelp(hidden));
  return command;
}

/** The action of a command: its flags, those before the verb included, then its arguments. */
function act<F extends CommonFlags>(
  outputs: OutputMode[],
  run: (flags: F, ...args: (string | undefined)[]) => Promise<void>,
): (this: Command) => Promise<void> {
  return function () {
    const given: Partial<F>[] = [];
    for (let each: Command | null = this; each; each = each.parent) given.unshift(each.opts<Partial<F>>());
    const flags = Object.assign({ output: "text", color: "auto", verbose: false }, ...given) as F;
    if (!outputs.includes(flags.output)) throw outputError(flags.output, outputs);
    return run(flags, ...(this.processedArgs as (string | undefined)[]));
  };
}
