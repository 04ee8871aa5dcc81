import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../image/support.ts";

/**
 * Makes an authority of its own, `ca.pem`, and a certificate for `name` that it has signed, `server.pem` with `server.key`.
 * `name` is as openssl writes it: `IP:127.0.0.1`, `DNS:registry.test`.
 */
export async function authorityIn(dir: string, name: string): Promise<void> {
  const openssl = (...args: string[]) => run("openssl", args, { cwd: dir });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-subj",
    "/CN=Test authority",
    "-days",
    "2",
  );
  await openssl("req", ...key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=registry");
  await writeFile(join(dir, "server.ext"), `subjectAltName=${name}\n`);
  const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "server.ext"];
  await openssl("x509", "-req", "-in", "server.csr", ...by, "-out", "server.pem");
}
