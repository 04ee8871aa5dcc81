import { AppctlError, ExitCode, type Fault } from "../core/errors.ts";
import type { NpmResult } from "./run-npm.ts";

const NETWORK =
  /^(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ECONNABORTED|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENETDOWN|EPIPE|ERR_SOCKET_TIMEOUT|ECONNECTIONTIMEOUT|EIDLETIMEOUT|ERESPONSETIMEOUT|ETRANSFERTIMEOUT|ENOTCACHED|E429|E5\d\d)$/;
/** Sources that npm must not use: options such as `allow-git`. */
const ELSEWHERE = /^EALLOW/;
const CERTIFICATE = /CERT|^UNABLE_TO_|^ERR_TLS|^EPROTO$/;

/** True when npm says that a package or a version does not exist. */
export function isNotFound(result: NpmResult): boolean {
  return /^(?:E404|ETARGET|ENOVERSIONS)$/.test(result.error?.code ?? "");
}

/** The error for packages or versions that the registry does not have; `faults` names each. */
export function packagesNotFound(faults: Fault[]): AppctlError {
  const first = faults[0];
  return new AppctlError({
    code: "PACKAGE_NOT_FOUND",
    exit: ExitCode.build,
    message: faults.length === 1 && first ? first.message : `${faults.length} packages of the image do not exist`,
    hint: (faults.length === 1 && first?.hint) || "correct the names or versions in ImageSpec.packages",
    faults,
  });
}

/** The error for any other failure of npm: what to do, npm's own summary and its last lines, without credentials. */
export function npmFailure(result: NpmResult, what: string): AppctlError {
  const code = result.error?.code ?? "";
  const summary = redact(result.error?.summary || (result.code === -1 ? "it was killed" : `it exited ${result.code}`));
  const common = {
    details: lastLines(result),
    message: `npm could not ${what}: ${summary.split("\n")[0]}`,
  };
  if (NETWORK.test(code) || (code === "" && /network|socket hang up/i.test(summary))) {
    return new AppctlError({
      ...common,
      code: "REGISTRY_UNAVAILABLE",
      exit: ExitCode.unavailable,
      hint: "the package registry cannot be reached; check the network, and registry and proxy in .npmrc, and try again",
      next: ["npm ping"],
    });
  }
  if (/^E40[137]$/.test(code)) {
    return new AppctlError({
      ...common,
      code: "REGISTRY_REFUSED",
      exit: ExitCode.build,
      hint: "the npm registry refuses the credentials in .npmrc",
      next: ["npm whoami", "npm login"],
    });
  }
  const hint = CERTIFICATE.test(code)
    ? "the registry's certificate is not trusted; name its authority with cafile in .npmrc or with NODE_EXTRA_CA_CERTS"
    : code === "ERESOLVE"
      ? "the packages need versions of each other that conflict: choose other versions"
      : code === "EINTEGRITY"
        ? "a package changed since it was resolved: build again with force: true in the ImageSpec"
        : ELSEWHERE.test(code)
          ? "a package depends on a git repository, a folder or a file, which appctl does not install"
          : "npm's message is below";
  return new AppctlError({ ...common, code: "NPM_FAILED", exit: ExitCode.build, hint });
}

function lastLines(result: NpmResult): string[] {
  const lines = result.lines.filter((line) => /^npm (?:error|ERR!)/.test(line) || !/^npm \w+/.test(line));
  return (lines.length > 0 ? lines : result.lines).slice(-15).map(redact);
}

/** `text` without what looks like a credential: the userinfo of URLs, npm tokens, values of auth settings and headers. */
export function redact(text: string): string {
  return text
    .replace(/(\/\/)[^/@\s]+@/g, "$1***@")
    .replace(/\b(npm_[A-Za-z0-9]{20,}|gh[a-z]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{10,})/g, "***")
    .replace(/(_(?:authToken|auth|password)["']?\s*[=:]\s*)\S+/gi, "$1***")
    .replace(/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{4,}/gi, "$1 ***");
}
