import type { AppRef } from "../contract/types.ts";

/** How the platform is reached. */
export interface AddressOptions {
  /** Origin of API and console for people: `http://localhost:7654`. */
  url: string;
  /** What apps' sub-domains stand before: `apps.localhost`. */
  appsDomain: string;
}

/** Every address that the platform hands out. */
export class Addresses {
  readonly url: string;
  readonly appsDomain: string;
  readonly #scheme: string;
  readonly #port: string;
  /** What an app's host name ends with. Each request is looked at with it. */
  readonly #suffix: string;

  constructor(options: AddressOptions) {
    const url = new URL(options.url);
    this.url = url.origin;
    this.appsDomain = options.appsDomain;
    this.#suffix = `.${options.appsDomain}`;
    this.#scheme = url.protocol;
    this.#port = url.port ? `:${url.port}` : "";
  }

  /** Public address of an app, without a trailing slash. */
  endpoint(subdomain: string): string {
    return `${this.#scheme}//${this.host(subdomain)}${this.#port}`;
  }

  /** Host name of an app. */
  host(subdomain: string): string {
    return `${subdomain}.${this.appsDomain}`;
  }

  /** The sub-domain in a lower-case host name, or undefined when the host is not an app's. */
  subdomainOf(host: string): string | undefined {
    return host.endsWith(this.#suffix) ? host.slice(0, -this.#suffix.length) : undefined;
  }

  /** Registry name in image references: host and port of the platform. */
  get registry(): string {
    return new URL(this.url).host;
  }

  /** Pattern that apps get as `APPCTL_ENDPOINT_PATTERN`: `{subdomain}` is the place of an app's sub-domain. */
  get endpointPattern(): string {
    return `${this.#scheme}//{subdomain}.${this.appsDomain}${this.#port}`;
  }

  /** The app's page in the console. */
  console(ref: AppRef): string {
    const [project, domain, name] = [ref.project, ref.domain, ref.name].map(encodeURIComponent);
    return `${this.url}/console/projects/${project}/domains/${domain}/apps/${name}`;
  }
}
