/** What errors of Node's sockets and of undici say of a connection, for everyone who speaks HTTP. */

/** The code of an error of {@link isNotHttp}, where errors are identified by codes. */
export const NOT_HTTP = "NOT_HTTP";

/**
 * Whether undici's parser refused an answer: another service's, that of TLS, or one that was cut. undici has a code for it only
 * where it knows the parser's number.
 */
export function isNotHttp(error: unknown): boolean {
  return error instanceof Error && error.name === "HTTPParserError";
}

/** Codes of a connection that broke under way: its answer did not come, or not whole. */
export const BROKE_OFF: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "EPIPE",
  "UND_ERR_SOCKET",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  NOT_HTTP,
]);
