/** Flags with their values. */
export type Target = readonly (readonly [flag: string, value: string])[];

/** Flags that say where a command line goes: a command to type next needs them, too. */
export const TARGET_FLAGS = ["--project", "--domain", "--config", "--endpoint", "--port"] as const;

/** A command line that can be pasted, with the project and the domain where they are not the default ones. */
export function commandLine(words: string[], scope?: { project: string; domain: string }): string {
  const more = [
    ...(scope && scope.project !== "default" ? ["--project", scope.project] : []),
    ...(scope && scope.domain !== "development" ? ["--domain", scope.domain] : []),
  ];
  return ["appctl", ...words, ...more].map(quoted).join(" ");
}

/** A command with the flags that it lacks to go where this command line went. */
export function withTarget(command: string, target: Target): string {
  if (!command.startsWith("appctl ") || command.includes("#") || command.endsWith(" --help")) return command;
  const fits = (flag: string) => !command.startsWith("appctl platform ") || flag === "--port" || flag === "--config";
  const more = target.filter(([flag]) => fits(flag) && !command.includes(` ${flag} `));
  return [command, ...more.flat().map(quoted)].join(" ");
}

/** A hint with {@link withTarget} for the command that it ends in: `to change its value: appctl update secret A`. */
export function hintWithTarget(hint: string, target: Target): string {
  return hint.replace(/(?<=^|: )appctl [^:;,()]+$/, (command) => withTarget(command, target));
}

/** Any command of appctl, in a text. */
const COMMAND =
  /\bappctl (?=(?:attach|build|create|delete|deploy|get|images|logs|open|platform|prune|rollback|start|stop|update)\b|--help)/g;

/** `text` with the commands in it as a person types them: `npx appctl get apps`. `launcher` is {@link launcherOf}'s. */
export function withLauncher(text: string, launcher: string): string {
  return text.replace(COMMAND, () => `${launcher} `);
}

/** Quotes a word for a POSIX shell where that is needed. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
