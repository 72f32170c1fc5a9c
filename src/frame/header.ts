/** The opcodes (RFC 6455 5.2). */
export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

export type Opcode =
  typeof CONTINUATION | typeof TEXT | typeof BINARY | typeof CLOSE | typeof PING | typeof PONG;

/** The bits around the opcode in a frame's first byte. */
export const FIN = 0x80;
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
  target: Uint8Array,
  offset: number,
  firstByte: number,
  length: number,
  key: number | undefined,
): number {
  const mask = key === undefined ? 0 : MASK;
  target[offset++] = firstByte;
  if (length < 126) {
    target[offset++] = mask | length;
  } else if (length < 65536) {
    target[offset++] = mask | 126;
    target[offset++] = length >> 8;
    target[offset++] = length;
  } else {
    target[offset++] = mask | 127;
    const high = Math.floor(length / 2 ** 32);
    for (let shift = 24; shift >= 0; shift -= 8) target[offset++] = high >> shift;
    for (let shift = 24; shift >= 0; shift -= 8) target[offset++] = length >> shift;
  }
  if (key !== undefined) {
    for (let shift = 0; shift < 32; shift += 8) target[offset++] = key >> shift;
  }
  return offset;
}
