/** The output of a container without a terminal: two streams in one, each piece behind a header of 8 bytes. */
import { Buffer } from "node:buffer";

/** A piece of output, as it came. */
export interface Frame {
  stream: "stdout" | "stderr";
  bytes: Buffer;
}

/** Docker Engine API, "ContainerAttach": [stream, 0, 0, 0, length as four bytes, big end first]. */
const HEADER = 8;

/** The pieces in order. A frame that comes in parts is given in parts; one that is cut off ends with what came. */
export async function* framesOf(source: AsyncIterable<Buffer>): AsyncGenerator<Frame, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  let left = 0;
  let stream: Frame["stream"] = "stdout";
  for await (const chunk of source) {
    let data = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    for (;;) {
      if (left > 0 && data.length > 0) {
        const bytes = data.subarray(0, left);
        left -= bytes.length;
        data = data.subarray(bytes.length);
        yield { stream, bytes };
      }
      if (left > 0 || data.length < HEADER) break;
      stream = data[0] === 2 ? "stderr" : "stdout";
      left = data.readUInt32BE(4);
      data = data.subarray(HEADER);
    }
    rest = Buffer.from(data);
  }
}
