/**
 * A plain view of `bytes[start, end)`. Not `subarray`: a `Buffer`'s gives a `Buffer`, and what an application gets is to be
 * the same on every runtime.
 */
export function viewOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}
