import { randomBytes, randomInt } from "node:crypto";

const ADJECTIVES = `amber autumn bold brave bright brisk calm clear cold cool crisp damp dark dawn deep dry dusty early
eager fair fancy fresh gentle golden grand green happy hidden icy jolly keen kind late light little lively long lucky
mellow misty muddy nimble noble old patient plain polished proud quick quiet rapid rough round royal shy silent silver
small smooth snowy soft solid spring still summer sunny swift tender tidy tiny warm wandering wild winter wise young`.split(
  /\s+/,
);
const NOUNS =
  `badger bay beach birch bird bloom brook bush canyon cherry cliff cloud coast comet coral cove creek crest dawn
delta dew dream dune dust elm ember falcon feather fern field fire firefly flower fog forest frog frost garden glade grass
grove harbor haze heron hill island lake leaf maple marsh meadow mesa moon moss mountain oak ocean orchard otter owl paper
path peak pebble pine pond prairie rain reef resonance ridge river sea shadow shape sky snow sound star stone storm stream
sun sunset surf thunder tree valley violet water wave willow wind wood`.split(/\s+/);

/** Draws a sub-domain: adjective, noun and 5 hex digits. It is drawn once for an app and kept over every later deploy. */
export function drawSubdomain(): string {
  const pick = (words: string[]) => words[randomInt(words.length)] as string;
  return `${pick(ADJECTIVES)}-${pick(NOUNS)}-${randomBytes(3).toString("hex").slice(0, 5)}`;
}
