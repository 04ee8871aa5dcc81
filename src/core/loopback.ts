/**
 * True for a host name of this machine: `localhost`, `*.localhost` (RFC 6761), 127.0.0.0/8, ::1. Without a port; an IPv6
 * address is in brackets.
 */
export function isLoopbackHost(hostname: string): boolean {
  return /(?:^|\.)localhost$/i.test(hostname) || /^127(?:\.\d{1,3}){3}$/.test(hostname) || hostname === "[::1]";
}
