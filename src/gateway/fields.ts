/** What header fields mean to a gateway (RFC 9110, section 7.6.1; RFC 9112, section 6). One look-up for both directions. */

/** The fields that a gateway treats in a way of its own. `other` passes through. */
export const Field = {
  other: 0,
  /** Meant for one connection only: never forwarded. */
  hopByHop: 1,
  connection: 2,
  keepAlive: 3,
  transferEncoding: 4,
  contentLength: 5,
  trailer: 6,
  upgrade: 7,
  host: 8,
  expect: 9,
  authorization: 10,
  /** `forwarded` and every `x-forwarded-…`: what a client says about its own way is not to be believed. */
  forwarded: 11,
  requestId: 12,
  /** `appctl-probe`. */
  probe: 13,
  /** Every other `appctl-…`: the gateway's own names. */
  reserved: 14,
} as const;

/** One of the values of {@link Field}. */
export type Field = (typeof Field)[keyof typeof Field];

/**
 * The meaning of the field `name`, in any case. It runs for every field of every message, so the length decides first:
 * most names are never lower-cased or compared.
 */
export function fieldOf(name: string): Field {
  const first = name.charCodeAt(0) | 0x20;
  if (first === 0x61 /* a */) {
    const second = name.charCodeAt(1) | 0x20;
    if (second === 0x70 /* p */ && name.length > 7 && name.slice(0, 7).toLowerCase() === "appctl-") {
      return name.length === 12 && name.toLowerCase() === "appctl-probe" ? Field.probe : Field.reserved;
    }
    return name.length === 13 && name.toLowerCase() === "authorization" ? Field.authorization : Field.other;
  }
  if (first === 0x78 /* x */) {
    if (name.length === 12) return name.toLowerCase() === "x-request-id" ? Field.requestId : Field.other;
    return name.length > 12 && name.slice(0, 12).toLowerCase() === "x-forwarded-" ? Field.forwarded : Field.other;
  }
  switch (name.length) {
    case 2:
      return name.toLowerCase() === "te" ? Field.hopByHop : Field.other;
    case 4:
      return first === 0x68 /* h */ && name.toLowerCase() === "host" ? Field.host : Field.other;
    case 6:
      return name.toLowerCase() === "expect" ? Field.expect : Field.other;
    case 7: {
      const lower = name.toLowerCase();
      return lower === "trailer" ? Field.trailer : lower === "upgrade" ? Field.upgrade : Field.other;
    }
    case 9:
      return name.toLowerCase() === "forwarded" ? Field.forwarded : Field.other;
    case 10: {
      const lower = name.toLowerCase();
      return lower === "connection" ? Field.connection : lower === "keep-alive" ? Field.keepAlive : Field.other;
    }
    case 14: {
      const lower = name.toLowerCase();
      if (lower === "content-length") return Field.contentLength;
      return lower === "http2-settings" ? Field.hopByHop : Field.other;
    }
    case 16:
      return name.toLowerCase() === "proxy-connection" ? Field.hopByHop : Field.other;
    case 17:
      return name.toLowerCase() === "transfer-encoding" ? Field.transferEncoding : Field.other;
    case 18:
      return name.toLowerCase() === "proxy-authenticate" ? Field.hopByHop : Field.other;
    case 19:
      return name.toLowerCase() === "proxy-authorization" ? Field.hopByHop : Field.other;
    default:
      return Field.other;
  }
}

/**
 * Adds the field names that a `Connection` value makes hop-by-hop to `into`, in lower case, and returns it. The usual
 * values name none, and then nothing is allocated.
 */
export function nominatedBy(value: string, into: string[] | undefined): string[] | undefined {
  const lower = value.toLowerCase();
  if (lower === "keep-alive" || lower === "close" || lower === "upgrade") return into;
  const names = into ?? [];
  for (const part of lower.split(",")) {
    const name = part.trim();
    if (name !== "" && name !== "keep-alive" && name !== "close" && name !== "upgrade") names.push(name);
  }
  return names;
}

/** True when the list value of `Connection` has `token` (lower case) in it. */
export function connectionHas(value: string, token: string): boolean {
  if (value.length === token.length) return value.toLowerCase() === token;
  return value
    .toLowerCase()
    .split(",")
    .some((part) => part.trim() === token);
}

/**
 * The fields of a trailer section that may go on: flat, name and value in turn. Framing, routing and identity are
 * decided in the head, so a trailer must not bring them (RFC 9110, section 6.5.1).
 */
export function endToEndTrailers(fields: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] as string;
    if (fieldOf(name) === Field.other) kept.push(name, fields[i + 1] as string);
  }
  return kept;
}
