/** Thrown where it is not certain what npm would make of something. Whoever catches it runs npm instead. */
export class LeaveToNpm extends Error {}

/** Leaves it to npm because of `why`, unless the condition holds. */
export function ensure(condition: unknown, why: string): asserts condition {
  if (!condition) throw new LeaveToNpm(why);
}
