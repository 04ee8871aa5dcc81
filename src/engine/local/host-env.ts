/** Where programs are looked for, besides the app's own. */
export const SYSTEM_PATH: readonly string[] = [
  "/usr/local/sbin",
  "/usr/local/bin",
  "/usr/sbin",
  "/usr/bin",
  "/sbin",
  "/bin",
];

/** All that a replica gets of the platform's own environment `host`: the language and the time zone. */
export function localeOf(host: NodeJS.ProcessEnv): Record<string, string> {
  const found = ["LANG", "LC_ALL", "TZ"].flatMap((name): [string, string][] => {
    const value = host[name];
    return value ? [[name, value]] : [];
  });
  return { LANG: "C.UTF-8", ...Object.fromEntries(found) };
}
