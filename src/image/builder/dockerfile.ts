/** The part of an ImageSpec that runs programs while the image is built, in the words of a container engine. */

/** What has to run on top of a base image. */
export interface Programs {
  /** Debian packages to install. */
  aptPackages: readonly string[];
  /** Commands for `/bin/sh -c`, one after the other. */
  commands: readonly string[];
}

/**
 * A Dockerfile. Commands are in exec form, which the builder hands on as they are: it expands and joins nothing in them. The
 * last line changes nothing that is kept (an app says itself how it starts): it makes the image another one than that of the
 * last command, which so stays in the engine's cache when the image is removed.
 */
export function dockerfileOf(base: string, { aptPackages, commands }: Programs): string {
  const install = `apt-get update && apt-get install -y --no-install-recommends ${aptPackages.join(" ")} && rm -rf /var/lib/apt/lists/*`;
  const all = [...(aptPackages.length > 0 ? [install] : []), ...commands];
  return [
    `FROM ${base}`,
    ...all.map((command) => `RUN ${JSON.stringify(["/bin/sh", "-c", command])}`),
    "CMD []",
    "",
  ].join("\n");
}
