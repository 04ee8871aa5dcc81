/** Anything that can answer HTTP: an object with `fetch(request)`, a `(req, res)` listener, or a Fastify instance. */
export type FrameworkApp =
  | { fetch: (request: Request, ...rest: never[]) => Response | Promise<Response> }
  // biome-ignore lint/suspicious/noExplicitAny: a listener of any framework's own request and response types
  | ((req: any, res: any, ...rest: any[]) => unknown)
  // biome-ignore lint/suspicious/noExplicitAny: a Fastify instance, whatever its type parameters
  | { ready: (...args: any[]) => any; routing: (req: any, res: any) => void };
