import type { Problem } from "../contract/types.ts";
import type { Fault } from "../core/errors.ts";

/** The API's own error codes, each with its HTTP status. The client makes its exit code from the status (`exitOf`). */
export const PROBLEMS = {
  MALFORMED_JSON: 400,
  NO_BODY: 400,
  UNAUTHENTICATED: 401,
  FOREIGN_ORIGIN: 403,
  NOT_FOUND: 404,
  NO_SUCH_ENDPOINT: 404,
  API_KEY_EXISTS: 409,
  APP_DELETING: 409,
  IMAGE_DAMAGED: 409,
  LOCAL_KEY: 409,
  NEVER_DEPLOYED: 409,
  NO_EARLIER_REVISION: 409,
  REVISION_FAILED: 409,
  SECRET_EXISTS: 409,
  SECRET_IN_USE: 409,
  SUBDOMAIN_TAKEN: 409,
  BODY_TOO_LARGE: 413,
  NOT_JSON: 415,
  UNKNOWN_HOST: 421,
  CONTENT_MISSING: 422,
  EMPTY_SECRET: 422,
  IMAGE_INCOMPLETE: 422,
  INVALID_INPUT: 422,
  MISSING_SECRETS: 422,
  NOT_HONOURED: 422,
  SECRET_NOT_TEXT: 422,
  SECRET_TOO_LARGE: 422,
  INTERNAL: 500,
} as const satisfies Record<string, number>;

/** A code of {@link PROBLEMS}. */
export type ProblemCode = keyof typeof PROBLEMS;

/** The code of an error that is not the API's own, such as that of a full disk. */
interface ForeignCode {
  code: string;
  status: number;
}

/** An error that the API answers as an RFC 9457 problem. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(reason: ProblemCode | ForeignCode, detail: string, more: { hint?: string; faults?: Fault[] } = {}) {
    super(detail);
    const { code, status } = typeof reason === "string" ? { code: reason, status: PROBLEMS[reason] } : reason;
    this.name = "ProblemError";
    this.problem = {
      type: `urn:appctl:problem:${code.toLowerCase().replaceAll("_", "-")}`,
      title: TITLES[status] ?? "Error",
      status,
      detail,
      code,
      ...(more.hint === undefined ? {} : { hint: more.hint }),
      ...(more.faults === undefined
        ? {}
        : { faults: more.faults.map(({ path, message, hint }) => ({ path, message, ...(hint ? { hint } : {}) })) }),
    };
  }

  /** The HTTP answer. */
  toResponse(headers: Record<string, string> = {}): Response {
    return new Response(JSON.stringify(this.problem), {
      status: this.problem.status,
      headers: { "content-type": "application/problem+json", "cache-control": "no-store", ...headers },
    });
  }
}

/** What a status says, for every status that the API refuses a request with. */
export const TITLES: Record<number, string> = {
  400: "Bad request",
  401: "Not authenticated",
  403: "Not allowed",
  404: "Not found",
  409: "Conflict",
  413: "Too large",
  415: "Unsupported media type",
  421: "Misdirected request",
  422: "Invalid input",
  500: "Internal error",
  503: "Unavailable",
};

/** The problem for a thing that does not exist. */
export function notFound(what: string, hint?: string): ProblemError {
  return new ProblemError("NOT_FOUND", `${what} does not exist`, hint === undefined ? {} : { hint });
}
