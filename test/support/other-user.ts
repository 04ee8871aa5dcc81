/** Acting as a user who is not root and owns nothing, so that what is closed is closed. */

const NOBODY = 65534;

/** Whether this process may act as another user; says why not. */
export function mayActAsOther(): boolean {
  const may = process.getuid?.() === 0;
  if (!may) console.warn("SKIPPED what is closed to a user: only root can act as another one");
  return may;
}

/** Runs `work` as that user. Nothing else of this process may be under way meanwhile. */
export async function asOther<T>(work: () => Promise<T>): Promise<T> {
  process.seteuid?.(NOBODY);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}
