/** Why npm has to do it: what it would make of something here is not known for certain. Caught where npm is asked instead. */
export class Unsure extends Error {}

/** Gives up with `why`, unless `sure`. */
export function sure(sure: unknown, why: string): asserts sure {
  if (!sure) throw new Unsure(why);
}
