// DEFLATE (RFC 1951) as permessage-deflate needs it (RFC 7692 7.2): raw, synchronous, and resumable at any byte, so that a small
// frame never becomes one huge event. Whoever calls `push` calls `pull` until it gives less than was asked for, and only then `push`
// again.

/** Inflates message after message. The window goes on from one to the next until `reset`. */
export interface Inflator {
  /** Hands in compressed bytes: `bytes[start, end)`, which stay as they are until `pull` has used them up. */
  push(bytes: Uint8Array, start: number, end: number): void;
  /**
   * Writes what they inflate to into `target[start, end)`; returns the offset after it: `start` once they are used up, -1 where they
   * are not DEFLATE (what came out before the fault may be lost, or be told first). A final block (BFINAL) ends nothing: further
   * blocks follow it at the next byte (RFC 7692 7.2.1), and may look back past it.
   */
  pull(target: Uint8Array, start: number, end: number): number;
  /**
   * The message is over, and all of it was pulled: hands in the four bytes that the sender left out (RFC 7692 7.2.2). False where that
   * does not lead to the end of a block: the message was cut off.
   */
  end(): boolean;
  /** Forgets the window, and whatever was begun. */
  reset(): void;
  /** Gives back what it holds outside of the engine's heap. It must not be used any more; repeated calls do nothing. */
  release(): void;
}

/** Deflates message after message. The window goes on from one to the next until `reset`. */
export interface Deflator {
  /**
   * Hands in `bytes[start, end)`, which stay as they are until `pull` has used them up. With `last` they end a message: its output
   * is flushed to a byte's end with an empty stored block, so that it ends with 00 00 ff ff (RFC 7692 7.2.1). Where nothing was
   * handed in since the last flush there may be no output at all.
   */
  push(bytes: Uint8Array, start: number, end: number, last: boolean): void;
  /** Writes what they deflate to into `target[start, end)`; returns the offset after it. Less than `end`: they are used up. */
  pull(target: Uint8Array, start: number, end: number): number;
  /** Forgets the window, and whatever was begun. */
  reset(): void;
  /** Gives back what it holds outside of the engine's heap. It must not be used any more; repeated calls do nothing. */
  release(): void;
}

/** What a platform may hand in. `windowBits` is the base-2 logarithm of the window's size, 8 to 15 (RFC 7692 7.1.2). */
export interface DeflateCodec {
  inflator(windowBits: number): Inflator;
  /** No distance in the output is larger than the window. `level` is 1, fastest, to 9, smallest, as zlib counts. */
  deflator(windowBits: number, level: number): Deflator;
}
