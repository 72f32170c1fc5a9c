// Asking an array for its buffer takes longer than making a view of it, and a chunk has many views: the last answer is kept.
let recent: Uint8Array = /* @__PURE__ */ new Uint8Array(0);
let recentBuffer: ArrayBufferLike = recent.buffer;

/** `bytes.buffer`, fast where it is asked for again and again. */
export function bufferOf(bytes: Uint8Array): ArrayBufferLike {
  if (bytes !== recent) {
    recent = bytes;
    recentBuffer = bytes.buffer;
  }
  return recentBuffer;
}

/**
 * A plain view of `bytes[start, end)`. Not `subarray`: a `Buffer`'s gives a `Buffer`, and what an application gets is to be
 * the same on every runtime.
 */
export function viewOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bufferOf(bytes), bytes.byteOffset + start, end - start);
}
