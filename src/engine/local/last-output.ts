/**
 * How long the platform waits for the output of a replica that has ended, in milliseconds: a program outside its group may
 * hold the pipe.
 */
export const LAST_OUTPUT_MS = 1_000;
