// The transport that docs/embedding.md invents: a tube with two ends in memory. An end takes bytes while fewer than `capacity`
// of them wait at the other; what it took arrives later, never inside the call.

export class Tube {
  /** @type {(bytes: Uint8Array) => void} */
  onbytes = () => {};
  onfinish = () => {};
  /** @type {(error: Error) => void} */
  onabort = () => {};
  onwritable = () => {};
  /** How many bytes waited here at the most. */
  highest = 0;
  /** @type {Tube} */
  #other;
  #capacity;
  #waiting = [];
  #size = 0;
  #paused = false;
  #over = false;
  #finished = false;
  #scheduled = false;

  constructor(capacity) {
    this.#capacity = capacity;
  }

  /** @returns {[Tube, Tube]} */
  static pair(capacity) {
    const ends = [new Tube(capacity), new Tube(capacity)];
    ends[0].#other = ends[1];
    ends[1].#other = ends[0];
    return ends;
  }

  /** Whether more may be written now; when it turns true again `onwritable` is called. */
  get writable() {
    return !this.#over && !this.#finished && this.#other.#size < this.#capacity;
  }

  write(bytes) {
    if (this.#over || this.#finished) throw new Error("the tube is finished");
    this.#other.#post({ bytes: bytes.slice() }, bytes.length);
  }

  /** Nothing more is written; what the other end writes still arrives. */
  finish() {
    if (this.#over || this.#finished) return;
    this.#finished = true;
    this.#other.#post({ finish: true }, 0);
  }

  /** Both directions are over at once; what is under way is lost. */
  abort() {
    if (this.#over) return;
    this.#over = true;
    this.#waiting = [];
    this.#other.#post({ abort: new Error("the other end aborted") }, 0);
  }

  pause() {
    this.#paused = true;
  }

  resume() {
    this.#paused = false;
    this.#schedule();
  }

  #post(piece, size) {
    this.#waiting.push(piece);
    this.#size += size;
    this.highest = Math.max(this.highest, this.#size);
    this.#schedule();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setTimeout(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver() {
    if (this.#over) return;
    // A reset overtakes; all else waits while nobody reads.
    const reset = this.#waiting.find(({ abort }) => abort);
    if (reset !== undefined) {
      this.#over = true;
      this.onabort(reset.abort);
      return;
    }
    while (!this.#paused && !this.#over) {
      const piece = this.#waiting.shift();
      if (piece === undefined) return;
      if (piece.finish) {
        this.onfinish();
        continue;
      }
      const wasFull = this.#size >= this.#capacity;
      this.#size -= piece.bytes.length;
      this.onbytes(piece.bytes);
      if (wasFull && this.#size < this.#capacity) this.#other.onwritable();
    }
  }
}

/** @returns {[Tube, Tube]} */
export function tubePair(capacity = 65_536) {
  return Tube.pair(capacity);
}
