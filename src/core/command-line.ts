/** A command line that can be pasted, with the project and the domain where they are not the default ones. */
export function commandLine(words: string[], scope?: { project: string; domain: string }): string {
  const more = [
    ...(scope && scope.project !== "default" ? ["--project", scope.project] : []),
    ...(scope && scope.domain !== "development" ? ["--domain", scope.domain] : []),
  ];
  return ["appctl", ...words, ...more].map(quoted).join(" ");
}

/** Quotes a word for a POSIX shell where that is needed. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
