const MOST_LINES = 200;
const MOST_CHARACTERS = 256 * 1024;

/** The last lines of a replica, bounded in number and size: what the cause of a failure is read from. */
export class RecentOutput<Line extends { line: string }> {
  #lines: Line[] = [];
  #characters = 0;

  /** Adds lines and drops the oldest ones over the bounds. */
  add(lines: readonly Line[]): void {
    for (const line of lines) {
      this.#lines.push(line);
      this.#characters += line.line.length;
    }
    let drop = 0;
    while (
      this.#lines.length - drop > MOST_LINES ||
      (this.#characters > MOST_CHARACTERS && this.#lines.length - drop > 1)
    ) {
      this.#characters -= this.#lines[drop]?.line.length ?? 0;
      drop++;
    }
    if (drop > 0) this.#lines = this.#lines.slice(drop);
  }

  /** The lines, oldest first. */
  lines(): readonly Line[] {
    return this.#lines;
  }
}
