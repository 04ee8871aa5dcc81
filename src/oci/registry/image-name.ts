import { AppctlError, ExitCode } from "../../core/errors.ts";
import { isHost, isPlain, isReachableHost, REPOSITORY_PART } from "../../core/registry-address.ts";
import { credentialsHint, withoutCredentials } from "../../core/without-credentials.ts";
import { isDigest } from "../model.ts";

/** The name of an image in a registry. */
export interface ImageName {
  /** Host, with a port where it is not the usual one. */
  host: string;
  /** Plain HTTP is spoken to it. */
  plain: boolean;
  /** Path of the repository: `org/name`. */
  repository: string;
  /** Absent when only a digest was written. */
  tag?: string;
  /** `sha256:` and 64 hex digits: a pin, which wins over the tag. */
  digest?: string;
}

const REPOSITORY = new RegExp(`^${REPOSITORY_PART}(?:/${REPOSITORY_PART})*$`);
const MAX_REPOSITORY = 255;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
/** The host of a name without one: Docker Hub. */
const DOCKER_HUB = "docker.io";

/** True for the name of a repository, without a registry (OCI distribution specification): `org/name`. */
export function isRepositoryName(text: string): boolean {
  return text.length <= MAX_REPOSITORY && REPOSITORY.test(text);
}

/**
 * Reads `[HOST/]REPOSITORY[:TAG][@DIGEST]` as container engines do: without a host it is Docker Hub's, and a single word there
 * is `library/WORD`; with neither tag nor digest it is `latest`. `http://` or `https://` before it chooses the protocol.
 * Throws INVALID_IMAGE_NAME.
 */
export function parseImageName(text: string): ImageName {
  const [, scheme, written = ""] = /^(?:(https?):\/\/)?(.*)$/s.exec(text) ?? [];
  const [beforeDigest = "", digest, ...more] = written.split("@");
  const [, path = "", tag] = /^(.*?)(?::([^/:]*))?$/s.exec(beforeDigest) ?? [];
  const slash = path.indexOf("/");
  const first = path.slice(0, Math.max(slash, 0));
  const host = slash > 0 && isHost(first) ? first : DOCKER_HUB;
  const rest = host === first ? path.slice(slash + 1) : path;
  const repository = host === DOCKER_HUB && !rest.includes("/") ? `library/${rest}` : rest;
  const credentials = credentialsHint(text);
  const fault =
    credentials !== undefined
      ? "it has a user and a password in it"
      : more.length > 0
        ? "it has more than one @"
        : !isReachableHost(host)
          ? `"${host}" is not the host of a registry: a name or an IP address, and a port of 1 to 65535; a tag comes last`
          : !isRepositoryName(repository)
            ? `${rest === written ? "it must be" : `"${rest}" is not the name of a repository:`} lower-case letters and digits with single '-', '_', '.' or '/' between`
            : tag !== undefined && !TAG.test(tag)
              ? `"${tag}" is not a tag: letters, digits, '_', '-' and '.', at most 128`
              : digest !== undefined && !isDigest(digest)
                ? `"${digest}" is not a digest: it must be sha256: and 64 lower-case hex digits`
                : undefined;
  if (fault !== undefined) {
    throw new AppctlError({
      code: "INVALID_IMAGE_NAME",
      exit: ExitCode.usage,
      message: `"${withoutCredentials(text)}" is not the name of an image: ${fault}`,
      hint: credentials ?? "such as ghcr.io/my-org/base:1.2, or with a digest ghcr.io/my-org/base@sha256:…",
    });
  }
  return {
    host,
    plain: isPlain(scheme, host),
    repository,
    ...(tag !== undefined ? { tag } : digest === undefined ? { tag: "latest" } : {}),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The name as a person writes it, without a scheme. */
export function imageNameText({ host, repository, tag, digest }: ImageName): string {
  return `${host}/${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

/** Where the registry's API is: scheme and host. Docker Hub's has another host than its images' names. */
export function apiOrigin({ host, plain }: Pick<ImageName, "host" | "plain">): string {
  return `${plain ? "http" : "https"}://${host === DOCKER_HUB ? "registry-1.docker.io" : host}`;
}
