/** Header names that appctl puts on requests and responses. */

/** On responses that a replica produced: the revision's name. Never on what the gateway answers itself. */
export const REVISION_HEADER = "appctl-revision";
/** On responses that the gateway itself produced: a code such as `NO_SUCH_APP`. */
export const GATEWAY_HEADER = "appctl-gateway";
/** Code of the gateway for a request of the API that reached no platform, since that is being started again. */
export const PLATFORM_RESTARTING = "PLATFORM_RESTARTING";
/** On the platform's own proof-of-live requests: a one-use token. The gateway removes it. */
export const PROBE_HEADER = "appctl-probe";
/** From the gateway to a replica: the replica's token, which the server shim demands. */
export const REPLICA_TOKEN_HEADER = "appctl-replica-token";
