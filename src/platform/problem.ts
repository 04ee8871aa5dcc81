import type { Problem } from "../contract/types.ts";
import type { Fault } from "../core/errors.ts";

/** An error that the API answers as an RFC 9457 problem. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(status: number, code: string, detail: string, more: { hint?: string; faults?: Fault[] } = {}) {
    super(detail);
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
  return new ProblemError(404, "NOT_FOUND", `${what} does not exist`, hint === undefined ? {} : { hint });
}
