import { Buffer } from "node:buffer";
import { isPassing, RETRIES } from "../../http/retry.ts";
import type { BlobSource } from "./blob-source.ts";
import { damagedError, type Purpose, protocolError } from "./registry-error.ts";
import { locationOf, type RegistryAnswer, type RegistryRequest } from "./registry-http.ts";
import type { Repository } from "./repository.ts";

/** How a blob is sent. */
export interface UploadOptions {
  /** Bytes of one request; a blob up to this size goes in a single one. */
  chunkSize: number;
  /** A blob of one request goes with the one that begins its upload: not every registry takes that. */
  atOnce?: boolean | undefined;
  /** Where an upload goes on that the registry has begun already; absent: none is open. */
  location?: URL | undefined;
  /** Called with the number of bytes that the registry has of it, as it grows. */
  onBytes?: ((sent: number) => void) | undefined;
}

/** Default of {@link UploadOptions.chunkSize}: what broke off costs no more than this. */
export const CHUNK_SIZE = 8 * 1024 ** 2;

/**
 * Sends a blob that the repository does not have (distribution-spec 1.1, "Push"): in one request when it is small or the
 * registry takes no chunks, else in chunks. An upload that breaks is taken
 * up at the byte that the registry names, or begun again when the registry no longer knows it.
 */
export async function uploadBlob(repository: Repository, source: BlobSource, options: UploadOptions): Promise<void> {
  try {
    await new Upload(repository, source, options).run();
  } finally {
    source.close?.();
  }
}

class Upload {
  readonly #repository: Repository;
  readonly #source: BlobSource;
  readonly #options: UploadOptions;
  readonly #about: Purpose;
  /** Where the upload goes on; undefined when none is open. */
  #location: URL | undefined;
  /** How much of it the registry has. */
  #offset = 0;
  #chunkSize: number;
  #chunked: boolean;
  #atOnce: boolean;
  /** A chunk has been taken, so a later refusal is not of chunks as such. */
  #proven = false;
  /** Tries in a row that brought nothing. */
  #failures = 0;
  #furthest = 0;

  constructor(repository: Repository, source: BlobSource, options: UploadOptions) {
    this.#repository = repository;
    this.#source = source;
    this.#options = options;
    this.#chunkSize = options.chunkSize;
    this.#chunked = source.size > options.chunkSize;
    this.#atOnce = options.atOnce === true && !this.#chunked && !options.location;
    this.#about = repository.purpose("pushed", source.digest);
    this.#location = options.location;
  }

  async run(): Promise<void> {
    for (;;) {
      if (!this.#location && !this.#atOnce) await this.#begin();
      const request = this.#next();
      const answer = await this.#repository.http.once(request).catch((error: unknown) => this.#broken(error));
      if (answer === undefined ? await this.#stands() : await this.#took(request, answer)) {
        this.#options.onBytes?.(this.#source.size);
        return;
      }
    }
  }

  /** Opens an upload. */
  async #begin(): Promise<void> {
    const url = this.#repository.url("blobs/uploads/");
    const request = { method: "POST" as const, url, length: 0, about: this.#about };
    const answer = await this.#repository.http.send(request, [202]);
    await answer.body.dump();
    this.#offset = 0;
    this.#location = locationOf(answer, url, this.#about);
    const least = answer.headers["oci-chunk-min-length"];
    if (typeof least === "string" && /^\d{1,12}$/.test(least)) {
      this.#chunkSize = Math.max(this.#chunkSize, Number(least));
      this.#chunked &&= this.#source.size > this.#chunkSize;
    }
  }

  /** The request that comes next: the whole blob, a chunk, or the end of the chunks. */
  #next(): RegistryRequest {
    const { digest, size } = this.#source;
    const url = new URL(this.#location ?? this.#repository.url("blobs/uploads/"));
    const headers = { "content-type": "application/octet-stream" };
    if (this.#chunked && this.#offset < size) {
      const [start, end] = [this.#offset, Math.min(this.#offset + this.#chunkSize, size)];
      const body = () => this.#source.open(start, end);
      const range = { "content-range": `${start}-${end - 1}` };
      return { method: "PATCH", url, headers: { ...headers, ...range }, body, length: end - start, about: this.#about };
    }
    url.searchParams.set("digest", digest);
    const method = this.#location ? ("PUT" as const) : ("POST" as const);
    const end = { method, url, headers, about: this.#about };
    if (this.#chunked || size === 0) return { ...end, body: Buffer.alloc(0), length: 0 };
    return { ...end, body: () => this.#source.open(0, size), length: size };
  }

  /** What an answer means for the upload; true when it is done. */
  async #took(request: RegistryRequest, answer: RegistryAnswer): Promise<boolean> {
    const { status } = answer;
    const { http } = this.#repository;
    if (request.method !== "PATCH" && status === 201) {
      await answer.body.dump();
      return true;
    }
    if (request.method === "POST" && status === 202) {
      // It has begun an upload, and has taken nothing of the content.
      await answer.body.dump();
      this.#atOnce = false;
      this.#location = locationOf(answer, request.url, this.#about);
      return false;
    }
    if (request.method === "PATCH" && (status === 202 || status === 204)) {
      await answer.body.dump();
      this.#proven = true;
      const sent = Math.min(this.#offset + this.#chunkSize, this.#source.size);
      this.#location = locationOf(answer, request.url, this.#about);
      const before = this.#offset;
      this.#moveTo(rangeEnd(answer) ?? sent);
      if (this.#offset <= before) {
        const why = `it got bytes from ${before} on, but reports ${this.#offset}`;
        await this.#failed(async () => protocolError(why, this.#about));
        await http.pauseBefore(this.#failures - 1);
      }
      return false;
    }
    if (isPassing(status)) {
      await this.#failed(() => http.refusal(answer, this.#about, { tries: this.#failures }));
      await http.pauseAfter(answer, this.#failures - 1, this.#about);
      return this.#stands();
    }
    const refusesChunks = request.method === "PATCH" && !this.#proven;
    if (refusesChunks && [400, 404, 405, 411, 413, 501].includes(status)) {
      await answer.body.dump();
      this.#chunked = false;
      this.#location = undefined;
      return false;
    }
    // 416: it continues at another byte. 404: it no longer knows the upload. 400: what it has got is not what the digest says.
    if (status === 416 || (status === 404 && request.method !== "POST") || status === 400) {
      if (status === 400) await this.#source.verify?.();
      await this.#failed(() => http.refusal(answer, this.#about, { tries: this.#failures }));
      await answer.body.dump();
      // One that was asked to go on from its very start has something, and cannot say how much: `0-0` is none and one byte.
      if (status === 416 && this.#offset > 0) return this.#stands();
      this.#location = undefined;
      return false;
    }
    throw await http.refusal(answer, this.#about, { tries: 1 });
  }

  async #broken(error: unknown): Promise<undefined> {
    this.#failures = await this.#repository.http.pauseAfterFailure(error, this.#failures, this.#about);
  }

  async #failed(why: () => Promise<unknown>): Promise<void> {
    if (++this.#failures > RETRIES) throw await why();
  }

  /** Asks how far the upload has come; true when the registry has the whole blob, since only its answer was lost. */
  async #stands(): Promise<boolean> {
    if (await this.#repository.hasBlob(this.#source)) return true;
    const location = this.#location;
    this.#location = undefined;
    if (!this.#chunked || !location) return false;
    const request = { method: "GET" as const, url: location, about: this.#about };
    const answer = await this.#repository.http.send(request, [200, 204, 400, 404, 416]);
    await answer.body.dump();
    const end = rangeEnd(answer);
    if ((answer.status !== 204 && answer.status !== 200) || end === undefined) return false;
    this.#location = answer.headers["location"] === undefined ? location : locationOf(answer, location, this.#about);
    this.#moveTo(end);
    return false;
  }

  #moveTo(offset: number): void {
    if (offset > this.#source.size) {
      throw damagedError(`the registry has ${offset} bytes of it, but it has ${this.#source.size} bytes`, this.#about);
    }
    this.#offset = offset;
    if (offset <= this.#furthest) return;
    this.#furthest = offset;
    this.#failures = 0;
    this.#options.onBytes?.(offset);
  }
}

/** How many bytes an answer's `Range` says that there are: `0-1023` is 1024; nothing yet is `0-0` at most registries. */
function rangeEnd({ headers: { range } }: RegistryAnswer): number | undefined {
  const last = typeof range === "string" ? /^(?:bytes=)?0-(\d{1,15})$/.exec(range)?.[1] : undefined;
  return last === undefined ? undefined : last === "0" ? 0 : Number(last) + 1;
}
