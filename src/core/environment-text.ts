import { isUtf8 } from "node:buffer";

/** True when an environment variable can carry `bytes` unchanged: UTF-8 without a NUL. */
export function isEnvironmentText(bytes: Uint8Array): boolean {
  return isUtf8(bytes) && !bytes.includes(0);
}
