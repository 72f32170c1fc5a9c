/** The opcode of a frame that goes on with a message (RFC 6455 5.4). */
export const CONTINUATION = 0x0;
/** The opcode of a text message's first frame (RFC 6455 5.6). */
export const TEXT = 0x1;
/** The opcode of a binary message's first frame (RFC 6455 5.6). */
export const BINARY = 0x2;
/** The opcode of a Close frame (RFC 6455 5.5.1). */
export const CLOSE = 0x8;
/** The opcode of a Ping frame (RFC 6455 5.5.2). */
export const PING = 0x9;
/** The opcode of a Pong frame (RFC 6455 5.5.3). */
export const PONG = 0xa;

/** The opcodes that are not reserved (RFC 6455 5.2). */
export type Opcode =
  typeof CONTINUATION | typeof TEXT | typeof BINARY | typeof CLOSE | typeof PING | typeof PONG;

/** The bit of a frame's first byte that says: a message ends here (RFC 6455 5.2). */
export const FIN = 0x80;
/** The first reserved bit of that byte; an extension may give it a meaning (RFC 7692 6). */
export const RSV1 = 0x40;

/** The bit before the length in its second. */
export const MASK = 0x80;

/** The longest payload of a control frame, in bytes (RFC 6455 5.5). */
export const MAX_CONTROL_PAYLOAD = 125;

/** The longest header: two bytes, a 64-bit length, a masking key. */
export const MAX_HEADER_SIZE = 14;

/** How many bytes the header of a frame takes whose payload has `length` bytes. */
export function headerSize(length: number, masked: boolean): number {
  return (length < 126 ? 2 : length < 65536 ? 4 : 10) + (masked ? 4 : 0);
}

/**
 * Writes a frame's header at `offset` of `target`, its length in the shortest form (RFC 6455 5.2); returns the offset
 * after it. `key` is the masking key of a client's frame, its first byte lowest.
 */
export function writeHeader(
  target: DataView,
  offset: number,
  firstByte: number,
  length: number,
  key: number | undefined,
): number {
  const mask = key === undefined ? 0 : MASK;
  if (length < 126) {
    target.setUint16(offset, (firstByte << 8) | mask | length);
    offset += 2;
  } else {
    offset = writeLongHeader(target, offset, (firstByte << 8) | mask, length);
  }
  if (key === undefined) return offset;
  target.setInt32(offset, key, true);
  return offset + 4;
}

/** One with a length of 126 bytes or more; apart from the rest, which is small enough to be inlined. */
function writeLongHeader(target: DataView, offset: number, firstTwo: number, length: number): number {
  if (length < 65536) {
    target.setUint16(offset, firstTwo | 126);
    target.setUint16(offset + 2, length);
    return offset + 4;
  }
  target.setUint16(offset, firstTwo | 127);
  target.setUint32(offset + 2, length / 2 ** 32);
  target.setUint32(offset + 6, length); // modulo 2^32
  return offset + 10;
}

/** Writes a masking key, its first byte lowest. RFC 6455 5.2 */
export function writeKey(key: number, target: Uint8Array, at: number): void {
  target[at] = key;
  target[at + 1] = key >> 8;
  target[at + 2] = key >> 16;
  target[at + 3] = key >> 24;
}

/** Reads one. */
export function readKey(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}
