// What an extension that was agreed on does to data messages (RFC 6455 9). Control frames never pass here. A message that was coded has
// RSV1 set on its first frame (RFC 7692 6), so coded messages and others may follow each other.

/** The coding that two ends agreed on, with its parameters. Connections that agreed on the same share it. */
export interface MessageCoding {
  /** Codings with the same one make the same of a message that refers to nothing before it: it is coded once for them all. */
  readonly form: object;
  /** Whether to code a message of so many bytes, where the application did not say. */
  codes(size: number): boolean;
  /** For what one connection sends. Made for its first coded message. */
  createEncoder(): MessageEncoder;
  /** For what one connection receives. Made for its first coded message. */
  createDecoder(): MessageDecoder;
}

/** Codes the messages that one connection sends, one after another. */
export interface MessageEncoder {
  /** Codes the next part of a message, with `last` its last one. What it returns may be overwritten by the next call, of any encoder. */
  encode(part: Uint8Array, last: boolean): Uint8Array;
  /** What follows must not refer to what was coded before: the peer will have received something else in between. */
  forget(): void;
  /** Gives back what it holds. It must not be used any more; repeated calls do nothing. */
  release(): void;
}

/** Decodes the coded messages that one connection receives, one after another. */
export interface MessageDecoder {
  /** Hands in payload: `bytes[start, end)`, which stay as they are until `pull` has used them up. */
  push(bytes: Uint8Array, start: number, end: number): void;
  /** Writes what it stands for into `target[start, end)`; returns the offset after it: `start` once all is used up, -1 where it is wrong. */
  pull(target: Uint8Array, start: number, end: number): number;
  /** The message is over, and all of it was pulled. False where it was cut off. */
  end(): boolean;
  /** Gives back what it holds. It must not be used any more; repeated calls do nothing. */
  release(): void;
}
