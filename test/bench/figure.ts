/** What a figure of the bench is: rows with targets, and how they are measured. */

/** The limit that a row has to keep: on its ratio to the floor or peer, or on the measured value itself. */
export type Target = { of: "ratio" | "value" } & ({ atMost: number } | { atLeast: number });

/** A row of the table. */
export interface Row {
  /** What is measured; Markdown. */
  what: string;
  /** The floor or the peer of the same run; Markdown. */
  against?: string;
  /** Of the measured value and of the floor's. */
  unit: string;
  /** Left out: the row is for information. */
  target?: Target;
  /** Why the target is not reached; the table shows it only when that is so. */
  missed?: string;
}

/** What was measured for a row. */
export interface Measured {
  value: number;
  /** Of the floor or peer. */
  against?: number;
  ratio?: number;
}

/** A row that could not be measured here, and why. */
export interface Missing {
  missing: string;
}

/** Figures beside the rows that have no target of their own. */
export interface Detail {
  title: string;
  head: string[];
  lines: string[][];
}

/** What a run of a figure gives: something for each of its rows. */
export interface Outcome {
  rows: Record<string, Measured | Missing>;
  details?: Detail[];
}

/** What a figure is run with. */
export interface Setting {
  /** Few rounds: to see that everything works, not to believe the numbers. */
  quick: boolean;
  /** `full`, or a few when quick. */
  rounds(full: number): number;
  /** Tells the person who waits. */
  say(line: string): void;
}

/** One figure: a file of its own in `figures/`. */
export interface Figure {
  /** For `--only`. */
  name: string;
  /** By a name of its own within the figure. */
  rows: Record<string, Row>;
  measure(setting: Setting): Promise<Outcome>;
}
