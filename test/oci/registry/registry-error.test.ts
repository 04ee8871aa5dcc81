import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { isAppctlError } from "../../../src/core/errors.ts";
import { asConnectionError } from "../../../src/oci/registry/registry-error.ts";
import { failureOf } from "../../image/support.ts";
import { pauses, repositoryAt } from "./support.ts";

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

  it("is told of when a server does not speak HTTP at all, and tried again: a line may have been cut", async () => {
    const server = createServer((socket) => {
      asked++;
      socket.on("error", () => {}).end("SSH-2.0-OpenSSH_9.2p1\r\n");
    }).listen(0, "127.0.0.1");
    let asked = 0;
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const { asked: waited, wait } = pauses();
    const repository = repositoryAt(`127.0.0.1:${port}`, { wait });
    const failure = await failureOf(repository.resolve("1"));
    await repository.close();
    server.close();
    expect(failure).toMatchObject({
      code: "REGISTRY_UNREACHABLE",
      exit: 6,
      message: expect.stringContaining(`127.0.0.1:${port} does not speak HTTP; `),
      hint: expect.stringContaining(`https://127.0.0.1:${port}`),
    });
    expect(asked).toBe(waited.length + 1);
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
