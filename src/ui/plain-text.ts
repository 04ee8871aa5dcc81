/**
 * Text that came from elsewhere (an app's output, a server's message) must not be able to move the cursor, recolour the
 * terminal or retitle its window.
 */

// ECMA-48: CSI … final byte; OSC, DCS, SOS, PM and APC strings up to BEL or ST; two-byte escapes.
const SEQUENCES =
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?/g;
// C0 but tab, DEL, C1, and the characters that turn the direction of the text around it.
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** One line of `text` without control sequences and control characters; tabs stay. */
export function plainLine(text: string): string {
  return text.replace(SEQUENCES, "").replace(CONTROLS, "");
}

/** Like {@link plainLine} for text of several lines: their ends stay. */
export function plainLines(text: string): string[] {
  return text.split(/\r?\n/).map(plainLine);
}

/** Made when it is first needed: it takes a third of the time that Node itself takes to start. */
let segmenter: Intl.Segmenter | undefined;
function graphemes(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
  return segmenter.segment(text);
}
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;
// Emoji that are drawn as pictures, and the East Asian wide and full-width blocks.
const WIDE =
  /^(?:\p{Emoji_Presentation}|\p{Emoji}\ufe0f|[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}])/u;

/** How many columns of a terminal `text` takes. Control characters count as nothing. */
export function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes(plainLine(text))) width += widthOf(segment);
  return width;
}

/** `text` cut to `width` columns, with `…` at its end when something is missing. */
export function cutToWidth(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let cut = "";
  let used = 0;
  for (const { segment } of graphemes(text)) {
    const more = widthOf(segment);
    if (used + more > width - 1) break;
    cut += segment;
    used += more;
  }
  return width < 1 ? "" : `${cut}…`;
}

function widthOf(segment: string): number {
  if (ZERO_WIDTH.test(segment)) return 0;
  return WIDE.test(segment) ? 2 : 1;
}
