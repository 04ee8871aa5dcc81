/**
 * Where a request for an app goes. `release` is called once, when the exchange is over. Until then the replica is not
 * ended, wherever traffic has gone meanwhile, unless the drain time is over or the app is deleted. A lease is no promise
 * that the replica answers: it may end at any moment, and the engine learns of that a moment later.
 */
export interface Lease {
  revision: string;
  replica: string;
  address: { socketPath: string } | { host: string; port: number };
  /** Token that the replica's server shim demands in `appctl-replica-token`. */
  token?: string;
  release(): void;
}
