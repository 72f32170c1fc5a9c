// What waits for a transport that takes one piece at a time, and of that perhaps a part.

/** Chunks that are written together are joined up to this many bytes: a copy costs less than a call into the system. */
const JOIN_UP_TO = 65536;

/** Chunks in the order in which they are to be written. */
export class ChunkQueue {
  /** Bytes that are queued. */
  size = 0;
  private chunks: Uint8Array[] = [];
  /** How many of the chunks are written. */
  private done = 0;

  push(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      this.chunks.push(chunk);
      this.size += chunk.length;
    }
  }

  /** What to write next, which stays queued; undefined: nothing is queued. */
  peek(): Uint8Array | undefined {
    const { chunks } = this;
    const first = chunks[this.done];
    const second = chunks[this.done + 1];
    if (first === undefined || second === undefined || first.length + second.length > JOIN_UP_TO)
      return first;
    let end = this.done;
    let length = 0;
    for (; end < chunks.length; end++) {
      const more = (chunks[end] as Uint8Array).length;
      if (length + more > JOIN_UP_TO) break;
      length += more;
    }
    const joined = new Uint8Array(length);
    let offset = 0;
    for (let i = this.done; i < end; i++) {
      const chunk = chunks[i] as Uint8Array;
      joined.set(chunk, offset);
      offset += chunk.length;
      chunks[i] = NO_BYTES;
    }
    this.done = end - 1;
    chunks[this.done] = joined;
    return joined;
  }

  /** So many bytes of what `peek` gave last are written; more may have been pushed since. */
  drop(count: number): void {
    const { chunks } = this;
    const first = chunks[this.done];
    if (first === undefined) return;
    this.size -= count;
    if (count < first.length) {
      chunks[this.done] = first.subarray(count);
      return;
    }
    chunks[this.done++] = NO_BYTES; // it may be long until the queue is empty
    if (this.done === chunks.length) this.clear();
    else if (this.done >= 64 && this.done * 2 > chunks.length) {
      chunks.splice(0, this.done);
      this.done = 0;
    }
  }

  clear(): void {
    this.chunks = [];
    this.done = this.size = 0;
  }
}

const NO_BYTES = new Uint8Array(0);
