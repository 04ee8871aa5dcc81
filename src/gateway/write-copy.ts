/** Copies of body bytes whose memory is used again. */
import { Buffer } from "node:buffer";

/** What takes the bytes: a response, or a socket. It calls back once, when it needs them no longer. */
export interface ByteSink {
  write(bytes: Uint8Array, done?: () => void): boolean;
}

/** As large as the largest read from a replica. */
const ROOM_BYTES = 64 * 1024;
/** Smaller copies come from Node's own pool of memory and are not worth the trouble. */
const SMALL_BYTES = 4 * 1024;
/** Most rooms that are kept: 2 MiB. */
const MAX_FREE = 32;

const free: Buffer[] = [];

/**
 * Writes a copy of `buffer[start..end)` to `sink` and returns whether it wants more at once. The read buffer is used again as
 * soon as this returns, so a copy there must be; but fresh memory for each costs more than all the rest of a large response.
 */
export function writeCopy(sink: ByteSink, buffer: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (length < SMALL_BYTES || length > ROOM_BYTES) {
    const copy = Buffer.allocUnsafe(length);
    buffer.copy(copy, 0, start, end);
    return sink.write(copy);
  }
  let room: Buffer | undefined = free.pop() ?? Buffer.allocUnsafeSlow(ROOM_BYTES);
  buffer.copy(room, 0, start, end);
  return sink.write(room.subarray(0, length), () => {
    // Given back once, whatever the sink does: bytes of one response must never stand in another.
    if (room !== undefined && free.length < MAX_FREE) free.push(room);
    room = undefined;
  });
}
