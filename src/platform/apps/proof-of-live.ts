/**
 * Proof of live: a deploy is a success only after the app's public address answered from the new revision and, when the
 * app requires authentication, refused a request without a key. The requests go through the public listener, as anybody's do.
 */
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { GATEWAY_HEADER, PROBE_HEADER, REVISION_HEADER } from "../../contract/headers.ts";
import { messageOf } from "../../core/errors.ts";

/** What a proof is about. `host` is the app's host name, `address` the platform's listener. */
export interface ProofTarget {
  host: string;
  address: { host: string; port: number };
  revision: string;
  requiresAuth: boolean;
  timeoutMs: number;
}

/** `retry`: the app may still be coming up; otherwise the outcome is final. */
export type ProofOutcome = { ok: true } | { ok: false; retry: boolean; message: string };

/** Sends the proof's requests and hands out their one-use tokens, which the gateway redeems. */
export class ProofOfLive {
  readonly #tokens = new Map<string, string>();
  readonly #issue: ((host: string) => Promise<string>) | undefined;

  /** `issue` makes a token that gateways of other processes redeem, and resolves when they know it. */
  constructor(issue?: (host: string) => Promise<string>) {
    this.#issue = issue;
  }

  /** True once for each token, and only for the host that it was made for. */
  redeem(token: string, host: string): boolean {
    if (this.#tokens.get(token) !== host) return false;
    this.#tokens.delete(token);
    return true;
  }

  #issueHere(host: string): string {
    const token = randomBytes(24).toString("base64url");
    this.#tokens.set(token, host);
    return token;
  }

  async prove(target: ProofTarget, signal: AbortSignal): Promise<ProofOutcome> {
    const token = (await this.#issue?.(target.host)) ?? this.#issueHere(target.host);
    try {
      const answer = await ask(target, { [PROBE_HEADER]: token }, signal);
      if (answer.revision !== target.revision) {
        return {
          ok: false,
          retry: answer.status === 503 || answer.status === 502,
          message: answer.revision
            ? `http://${target.host} answered from revision ${answer.revision}`
            : `http://${target.host} answered ${answer.status} from the gateway (${answer.gateway ?? "no code"})`,
        };
      }
      if (!target.requiresAuth) return { ok: true };
      const refused = await ask(target, {}, signal);
      if (refused.status === 401 && refused.gateway !== undefined) return { ok: true };
      return {
        ok: false,
        retry: false,
        message: `http://${target.host} answered ${refused.status} to a request without a key`,
      };
    } catch (error) {
      return { ok: false, retry: true, message: `http://${target.host} did not answer: ${messageOf(error)}` };
    } finally {
      this.#tokens.delete(token);
    }
  }
}

interface Answer {
  status: number;
  revision: string | undefined;
  gateway: string | undefined;
}

function ask(target: ProofTarget, headers: Record<string, string>, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: target.address.host,
      port: target.address.port,
      method: "GET",
      path: "/",
      agent: false,
      headers: { host: `${target.host}:${target.address.port}`, "user-agent": "appctl-probe", ...headers },
      signal: AbortSignal.any([signal, AbortSignal.timeout(target.timeoutMs)]),
    });
    outgoing.once("error", reject);
    outgoing.once("response", (response) => {
      const { headers: received } = response;
      // The head is the proof; what the app streams after it is its own affair.
      response.once("error", () => undefined).destroy();
      resolve({
        status: response.statusCode ?? 0,
        revision: one(received[REVISION_HEADER]),
        gateway: one(received[GATEWAY_HEADER]),
      });
    });
    outgoing.end();
  });
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
