import { describe, expect, it } from "vitest";
import { isAppctlError } from "../../src/core/errors.ts";
import { asConnectionError } from "../../src/image/registry/registry-error.ts";

const about = { host: "r.test", subject: "r.test/a:1", action: "pushed" };

describe("an error while a registry is spoken to", () => {
  it.each([
    { code: "ECONNREFUSED", syscall: "connect" },
    { code: "ECONNRESET", syscall: "read" },
    { code: "EPIPE", syscall: "write" },
    { code: "ENOTFOUND", syscall: "getaddrinfo" },
    { code: "EADDRNOTAVAIL", syscall: "connect" },
    // A firewall's.
    { code: "EPERM", syscall: "connect" },
    { code: "EACCES", syscall: "connect" },
    { code: "UND_ERR_SOCKET" },
    { code: "EPROTO", syscall: "write" },
    { code: "DEPTH_ZERO_SELF_SIGNED_CERT" },
  ])("%j is the connection's", (error) => {
    const wrapped = new Error("it failed", { cause: Object.assign(new Error("why"), error) });
    for (const each of [error, wrapped, { errors: [wrapped] }]) {
      const told = asConnectionError(each, about);
      expect(isAppctlError(told) && told.message).toContain(error.code);
      expect(isAppctlError(told) && told.message).toContain("r.test");
    }
  });

  it.each([
    { code: "ENOENT", syscall: "open" },
    { code: "EACCES", syscall: "open" },
    { code: "EIO", syscall: "read" },
    { code: "ENOSPC", syscall: "write" },
    { code: "EMFILE", syscall: "open" },
  ])("%j is a file's, and is left as it is", (error) => {
    expect(asConnectionError(error, about)).toBe(error);
  });
});
