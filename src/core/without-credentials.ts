/**
 * The text before the host of an address with a scheme; of one without, what has a colon in it. In `node:24@sha256:…` and
 * `localhost:5000/x@v1` there is none.
 */
const CREDENTIALS = /^(?:([a-z][a-z0-9+.-]*:\/\/).*@|[^/]*:[^/]*@|[^/]*:.*@(?=[^@]*\/))(?!sha\d+:)/is;

/** An address for a message: a user and a password that somebody has written into it are left out. */
export function withoutCredentials(text: string): string {
  return text.replace(CREDENTIALS, (_, scheme: string | undefined) => `${scheme ?? ""}…@`);
}

/** Where credentials belong that were written into an address of a registry; undefined when there are none in it. */
export function credentialsHint(text: string): string | undefined {
  return CREDENTIALS.test(text)
    ? "a user and a password are no part of it: sign in with docker login, podman login or skopeo login"
    : undefined;
}
