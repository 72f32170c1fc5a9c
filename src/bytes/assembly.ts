/** Gathers pieces of bytes, in a buffer that grows with what has arrived, never with what is announced. */
export class BytesAssembly {
  size = 0;
  private buffer: Uint8Array = NO_BYTES;

  /** Copies `bytes[start, end)` behind what is there; no more than `total` bytes will there be (Infinity: not known). */
  append(bytes: Uint8Array, start: number, end: number, total: number): void {
    const size = this.size + end - start;
    if (size > this.buffer.length) {
      const grown = new Uint8Array(Math.min(total, Math.max(size * 2, SMALLEST)));
      grown.set(this.buffer.subarray(0, this.size));
      this.buffer = grown;
    }
    if (end - start < COPY_BY_HAND) {
      for (let from = start, to = this.size; from < end; from++, to++)
        this.buffer[to] = bytes[from] as number;
    } else {
      this.buffer.set(bytes.subarray(start, end), this.size);
    }
    this.size = size;
  }

  /** Hands over what was gathered and begins anew. */
  take(): Uint8Array {
    const { buffer, size } = this;
    this.buffer = NO_BYTES;
    this.size = 0;
    return size === buffer.length ? buffer : buffer.subarray(0, size);
  }
}

const NO_BYTES = new Uint8Array(0);
const SMALLEST = 64;
/** Below this many bytes a loop is cheaper than `set` with a view. */
const COPY_BY_HAND = 16;
