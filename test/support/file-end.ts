/** What helpers have to clear up after a test file. Files share their modules in the tier `unit`, so a helper's own `afterAll` would run once. */
const ends: (() => unknown)[] = [];

/** Calls `end` after the test file under way. */
export function atFileEnd(end: () => unknown): void {
  ends.push(end);
}

/** Calls everything that {@link atFileEnd} got, the newest first. `test/setup.ts` does so after each file. */
export async function endFile(): Promise<void> {
  const errors: unknown[] = [];
  for (const end of ends.splice(0).reverse()) {
    try {
      await end();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, "helpers could not clear up after the file");
}
