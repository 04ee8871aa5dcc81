/** Largest value of a secret, in bytes: what a Kubernetes Secret can hold. */
export const MAX_SECRET_BYTES = 1024 * 1024;
