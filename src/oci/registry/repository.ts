import { Buffer } from "node:buffer";
import { type Descriptor, digestOf, isDigest, MAX_MANIFEST_BYTES, MediaType } from "../model.ts";
import { Authorizer } from "./authorizer.ts";
import { type Credentials, findCredentials } from "./credentials.ts";
import { apiOrigin, type ImageName, imageNameText } from "./image-name.ts";
import { damagedError, type Purpose, protocolError } from "./registry-error.ts";
import { locationOf, type RegistryAnswer, RegistryHttp, type RegistryHttpOptions } from "./registry-http.ts";

/** Manifests that are taken: images and indexes of OCI, and Docker's of the same shape. */
const MANIFEST_TYPES = [
  MediaType.index,
  MediaType.manifest,
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];

/** What a {@link Repository} works with. */
export interface RepositoryOptions
  extends Pick<RegistryHttpOptions, "transport" | "refuse" | "unreachable" | "silenceMs"> {
  name: Pick<ImageName, "host" | "plain" | "repository">;
  access: "pull" | "push";
  /** Repositories of the same registry that blobs are mounted from. */
  mountFrom?: readonly string[];
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** Waits before another try. Default: the time that it is given. */
  wait?: ((ms: number, signal: AbortSignal) => Promise<void>) | undefined;
  /** Default: {@link findCredentials}. */
  credentials?: (() => Promise<Credentials | undefined>) | undefined;
}

/** One repository of a registry, by the OCI distribution protocol. Every method throws an AppctlError with the reason. */
export class Repository {
  readonly http: RegistryHttp;
  readonly name: RepositoryOptions["name"];
  readonly signal: AbortSignal;

  constructor(options: RepositoryOptions) {
    const { name, env, signal } = options;
    this.name = name;
    this.signal = signal;
    const scope = `repository:${name.repository}:${options.access === "push" ? "pull,push" : "pull"}`;
    const others = (options.mountFrom ?? []).map((from) => `repository:${from}:pull`);
    const credentials = options.credentials ?? (() => findCredentials(name, env, signal));
    const authorizer = new Authorizer({ scopes: [scope, ...others], plain: name.plain, credentials });
    this.http = new RegistryHttp({ ...options, origin: apiOrigin(name), authorizer });
  }

  /** The address of a part of the API: `manifests/latest`. */
  url(path: string): URL {
    return new URL(`/v2/${this.name.repository}/${path}`, apiOrigin(this.name));
  }

  /** For messages: what is being done with which image or content. */
  purpose(action: string, reference: string): Purpose {
    const { host } = this.name;
    const subject = reference.startsWith("sha256:")
      ? `${reference.slice(0, 19)}… of ${imageNameText(this.name)}`
      : imageNameText({ ...this.name, tag: reference });
    return { host, subject, action };
  }

  /** The manifest that a tag or digest names, without its content; undefined when the registry has none. */
  async resolve(reference: string): Promise<Descriptor | undefined> {
    const about = this.purpose("asked for", reference);
    const answer = await this.http.send(
      {
        method: "HEAD",
        url: this.url(`manifests/${reference}`),
        headers: { accept: MANIFEST_TYPES.join(", ") },
        about,
      },
      [200, 404],
    );
    await answer.body.dump();
    if (answer.status === 404) return undefined;
    const digest = answer.headers["docker-content-digest"];
    const [type, length] = [answer.headers["content-type"], answer.headers["content-length"]];
    // Not every registry says so much; then the manifest itself has to tell.
    if (!isDigest(digest) || typeof type !== "string" || !/^\d+$/.test(String(length))) {
      return (await this.manifest(reference)).descriptor;
    }
    return { mediaType: plainType(type), digest, size: Number(length) };
  }

  /** A manifest or index, its bytes checked against the digest. Throws NOT_IN_REGISTRY when there is none. */
  async manifest(reference: string): Promise<{ descriptor: Descriptor; bytes: Buffer }> {
    const about = this.purpose("asked for", reference);
    const { bytes, headers } = await this.#whole(`manifests/${reference}`, MANIFEST_TYPES.join(", "), about);
    const digest = digestOf(bytes);
    const headerDigest = headers["docker-content-digest"];
    const expected = isDigest(reference) ? reference : isDigest(headerDigest) ? headerDigest : digest;
    if (digest !== expected) throw damagedError(`its manifest has the digest ${digest}, not ${expected}`, about);
    const type = headers["content-type"];
    return { descriptor: { mediaType: plainType(String(type ?? "")), digest, size: bytes.length }, bytes };
  }

  /** True when the repository has the blob, with that many bytes. */
  async hasBlob({ digest, size }: Pick<Descriptor, "digest" | "size">): Promise<boolean> {
    const about = this.purpose("looked for", digest);
    const answer = await this.http.send({ method: "HEAD", url: this.url(`blobs/${digest}`), about }, [200, 404]);
    await answer.body.dump();
    const length = answer.headers["content-length"];
    return answer.status === 200 && (length === undefined || Number(length) === size);
  }

  /**
   * Takes a blob over from the repository `from` of the same registry (distribution-spec, "Mounting a blob from another
   * repository"). When the registry needs the content, this is where the upload that it has begun goes on.
   */
  async mount({ digest }: Pick<Descriptor, "digest">, from: string): Promise<URL | undefined> {
    const url = this.url("blobs/uploads/");
    url.searchParams.set("mount", digest);
    url.searchParams.set("from", from);
    const about = this.purpose("pushed", digest);
    const answer = await this.http.send({ method: "POST", url, length: 0, about }, [201, 202]);
    await answer.body.dump();
    return answer.status === 201 ? undefined : locationOf(answer, url, about);
  }

  /**
   * The bytes of a blob from `start` on, as they come: the caller checks the digest. A connection that breaks is
   * taken up where it broke.
   */
  async *blob({ digest, size }: Pick<Descriptor, "digest" | "size">, start = 0): AsyncGenerator<Buffer> {
    const about = this.purpose("fetched", digest);
    let at = start;
    for (let failures = 0; at < size; ) {
      const headers: Record<string, string> = at > 0 ? { range: `bytes=${at}-${size - 1}` } : {};
      const answer = await this.http.send(
        { method: "GET", url: this.url(`blobs/${digest}`), headers, about },
        [200, 206],
      );
      // A registry that knows no ranges begins again.
      let skip = answer.status === 206 ? 0 : at;
      const before = at;
      try {
        for await (const chunk of answer.body as AsyncIterable<Buffer>) {
          const rest = chunk.subarray(Math.min(skip, chunk.length));
          skip -= chunk.length - rest.length;
          const wanted = rest.subarray(0, size - at);
          at += wanted.length;
          if (wanted.length > 0) yield wanted;
        }
        // A blob with too many bytes fails its digest. A request for one that ends early would repeat for ever.
        if (at < size) throw damagedError(`it ended after ${at} of ${size} bytes`, about);
        return;
      } catch (error) {
        failures = await this.http.pauseAfterFailure(error, at > before ? 0 : failures, about);
      }
    }
  }

  /**
   * Stores a manifest under a tag or its digest. Everything that it names has to be there already, but the subject. Gives the
   * digest of the subject that the registry has taken note of; a registry without the referrers API takes none.
   */
  async putManifest(reference: string, bytes: Buffer, mediaType: string): Promise<string | undefined> {
    const about = this.purpose("pushed", reference);
    const request = {
      method: "PUT" as const,
      url: this.url(`manifests/${reference}`),
      headers: { "content-type": mediaType },
      body: bytes,
      length: bytes.length,
      about,
    };
    const answer = await this.http.send(request, [201]);
    await answer.body.dump();
    const headerDigest = answer.headers["docker-content-digest"];
    const digest = digestOf(bytes);
    if (isDigest(headerDigest) && headerDigest !== digest)
      throw damagedError(`${digest} was sent, and ${headerDigest} was stored`, about);
    const subject = answer.headers["oci-subject"];
    return isDigest(subject) ? subject : undefined;
  }

  close(): Promise<void> {
    return this.http.close();
  }

  /** A small document; one that breaks off is asked for again. */
  async #whole(
    path: string,
    accept: string,
    about: Purpose,
  ): Promise<{ bytes: Buffer; headers: RegistryAnswer["headers"] }> {
    for (let failures = 0; ; ) {
      const answer = await this.http.send({ method: "GET", url: this.url(path), headers: { accept }, about }, [200]);
      try {
        const chunks: Buffer[] = [];
        let size = 0;
        for await (const chunk of answer.body as AsyncIterable<Buffer>) {
          size += chunk.length;
          if (size > MAX_MANIFEST_BYTES) throw protocolError("a manifest of more than 4 MiB", about);
          chunks.push(chunk);
        }
        return { bytes: Buffer.concat(chunks), headers: answer.headers };
      } catch (error) {
        failures = await this.http.pauseAfterFailure(error, failures, about);
      }
    }
  }
}

/** A media type without its parameters. */
const plainType = (type: string) => type.split(";")[0]?.trim() ?? "";
