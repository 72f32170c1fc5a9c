/** Many small chunks share a buffer of so many bytes. */
const SHARED_CHUNK = 1024;

/** What has been received and not been parsed yet: one chunk under the reader's eyes, the rest waiting behind it. */
export class Input {
  /** The chunk being read: what is unread of it is `bytes[position, end)`. */
  bytes: Uint8Array = NO_BYTES;
  position = 0;
  end = 0;
  /** True once the sender ended the stream: nothing follows what is stored. */
  ended = false;
  /** The place in the stream of `bytes[0]`. */
  private base = 0;
  /** The chunks behind `bytes`, of which `next` is the first; only the last has room to spare behind `tailSize`. */
  private queue: Uint8Array[] | undefined;
  private next = 0;
  private tailSize = 0;
  private queued = 0;

  /** How many bytes are stored. */
  get size(): number {
    return this.end - this.position + this.queued;
  }

  /** How many bytes were read: the place in the stream of the next one. */
  get offset(): number {
    return this.base + this.position;
  }

  /** Stores `bytes`: themselves where they are `owned`, else a copy. */
  push(bytes: Uint8Array, owned: boolean): void {
    if (bytes.length === 0) return;
    if (this.size === 0) {
      this.base += this.position;
      this.position = 0;
      this.bytes = owned ? bytes : new Uint8Array(bytes); // not slice(): a Buffer's makes a view
      this.end = bytes.length;
      return;
    }
    this.queue ??= [];
    const tail = this.next < this.queue.length ? this.queue[this.queue.length - 1] : undefined;
    this.queued += bytes.length;
    if (tail !== undefined && !owned && tail.length - this.tailSize >= bytes.length) {
      tail.set(bytes, this.tailSize);
      this.tailSize += bytes.length;
      return;
    }
    if (tail !== undefined) this.queue[this.queue.length - 1] = tail.subarray(0, this.tailSize);
    if (owned) {
      this.queue.push(bytes);
    } else {
      // Many small chunks share one buffer, so that what is stored stays in proportion to what was received.
      const copy = new Uint8Array(Math.max(bytes.length, SHARED_CHUNK));
      copy.set(bytes);
      this.queue.push(copy);
    }
    this.tailSize = bytes.length;
  }

  /** Counts bytes that came before all that is stored, and were read without being stored here first. */
  skip(count: number): void {
    this.base += count;
  }

  /** Called with `bytes` read to their end: goes on to the next chunk. False where nothing is stored. */
  advance(): boolean {
    this.base += this.position;
    this.position = this.end = 0;
    this.bytes = NO_BYTES; // a quiet connection pins no chunk
    if (this.queue === undefined) return false;
    const chunk = this.queue[this.next] as Uint8Array;
    this.queue[this.next++] = NO_BYTES;
    this.end = chunk.length;
    if (this.next === this.queue.length) {
      this.end = this.tailSize;
      this.queue = undefined;
      this.next = 0;
    } else if (this.next >= 64 && this.next * 2 > this.queue.length) {
      this.queue.splice(0, this.next);
      this.next = 0;
    }
    this.bytes = chunk;
    this.queued -= this.end;
    return true;
  }

  /** Drops what is stored; returns how many bytes that were. */
  clear(): number {
    const dropped = this.size;
    this.base += this.position + dropped;
    this.bytes = NO_BYTES;
    this.position = this.end = this.queued = this.next = 0;
    this.queue = undefined;
    return dropped;
  }
}

const NO_BYTES = new Uint8Array(0);
