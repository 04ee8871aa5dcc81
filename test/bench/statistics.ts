/** The arithmetic of the bench. */
import type { Measured } from "./figure.ts";

/** The middle value; the mean of the two middle ones when their number is even. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) throw new Error("no values");
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** Values of two sides, taken in turns: the ones at the same place belong together. */
export interface Pairs {
  ours: number[];
  floor: number[];
}

/**
 * The medians of both sides, and the median of the ratios pair by pair: what slows the machine down for a while slows both
 * halves of a pair.
 */
export function compare({ ours, floor }: Pairs): Required<Measured> {
  if (ours.length !== floor.length) throw new Error(`${ours.length} values on one side, ${floor.length} on the other`);
  return {
    value: median(ours),
    against: median(floor),
    ratio: median(ours.map((value, index) => value / (floor[index] as number))),
  };
}

/** Runs two measurements in turns, each once before it counts; which is first changes from round to round. */
export async function alternate(
  rounds: number,
  ours: () => Promise<number>,
  floor: () => Promise<number>,
): Promise<Pairs> {
  await ours();
  await floor();
  const pairs: Pairs = { ours: [], floor: [] };
  for (let round = 0; round < rounds; round++) {
    const sides = [
      () => ours().then((value) => pairs.ours.push(value)),
      () => floor().then((v) => pairs.floor.push(v)),
    ];
    if (round % 2 === 1) sides.reverse();
    for (const side of sides) await side();
  }
  return pairs;
}
