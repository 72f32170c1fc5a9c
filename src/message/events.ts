import { portableUtf8 } from "../bytes/utf8.js";
import { viewOf } from "../bytes/view.js";
import { readKey } from "../frame/header.js";
import type { Mask } from "../platform.js";

/** From this many bytes on a payload is unmasked through a view of its own. */
const LONG = 512;

// A busy connection makes an event for each message, and its size tells what the engine pays for that: what all have in common is not in
// each of them.
/* eslint-disable @typescript-eslint/class-literal-property-style */

/** A text message, or with `streaming` a piece of one. */
export class TextEvent {
  private decoded: string | undefined;
  private encoded: Uint8Array | undefined;

  /** One of `text` and `payload` is given. */
  constructor(text: string | undefined, payload: Uint8Array | undefined) {
    this.decoded = text;
    this.encoded = payload;
  }

  get type(): "text" {
    return "text";
  }

  /** False where more of the message follows, which only `streaming` does. */
  get final(): boolean {
    return true;
  }

  /** The text. With `text: "bytes"` it is decoded when it is asked for. */
  get text(): string {
    if (this.decoded !== undefined) return this.decoded;
    const bytes = this.encoded as Uint8Array;
    const text = portableUtf8.decode(bytes, 0, bytes.length) as string; // it was checked
    this.decoded = text;
    return text;
  }

  /** The text in UTF-8. Without `text: "bytes"` it is encoded when it is asked for. */
  get payload(): Uint8Array {
    if (this.encoded === undefined) {
      const text = this.decoded as string;
      this.encoded = new Uint8Array(portableUtf8.byteLength(text));
      portableUtf8.encodeInto(text, this.encoded, 0);
    }
    return this.encoded;
  }

  /** How many bytes the text has in UTF-8. They are counted when it is asked for. */
  get size(): number {
    return this.encoded === undefined ? portableUtf8.byteLength(this.decoded as string) : this.encoded.length;
  }

  /** What a peer's `send` takes to send the same: the text. */
  get data(): string {
    return this.text;
  }
}

/** A piece of a text, more of which follows. */
export class TextPiece extends TextEvent {
  override get final(): boolean {
    return false;
  }
}

/** A binary message, or with `streaming` a piece of one. */
export class BinaryEvent {
  /** What has the payload in it; once somebody looked: the payload. */
  private bytes: Uint8Array;
  private readonly start: number;
  private readonly end: number;
  /** What is to take the mask off; LOOKED: nothing is left to do. */
  private mask: Mask | undefined;

  /**
   * The payload is `bytes[start, end)`. With `mask` it is masked still, and its key stands in the four bytes before it, as it does in
   * a frame (RFC 6455 5.2).
   */
  constructor(bytes: Uint8Array, start: number, end: number, mask: Mask | undefined) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.mask = mask;
  }

  /** Of a payload that is a plain array of its own. */
  static of(payload: Uint8Array): BinaryEvent {
    const event = new BinaryEvent(payload, 0, payload.length, undefined);
    event.mask = LOOKED;
    return event;
  }

  get type(): "binary" {
    return "binary";
  }

  /** False where more of the message follows, which only `streaming` does. */
  get final(): boolean {
    return true;
  }

  /**
   * The bytes; they stay as they are. They are unmasked and the view is made when it is asked for. Other payloads may be in the same
   * buffer: copy the bytes (`slice()`) where its `buffer` is to be transferred.
   */
  get payload(): Uint8Array {
    return this.mask === LOOKED ? this.bytes : this.look();
  }

  private look(): Uint8Array {
    const { bytes, start, end, mask } = this;
    const view = end === start ? NO_BYTES : viewOf(bytes, start, end);
    if (mask !== undefined && end > start) {
      const key = readKey(bytes, start - 4);
      // Many short payloads lie in one array, of which the kernel may know something; a long one spares it a view.
      if (end - start < LONG) mask(bytes, start, end, key);
      else mask(view, 0, end - start, key);
    }
    this.bytes = view;
    this.mask = LOOKED;
    return view;
  }

  /** How many bytes the payload has. */
  get size(): number {
    return this.end - this.start;
  }

  /** What a peer's `send` takes to send the same: the bytes. */
  get data(): Uint8Array {
    return this.payload;
  }
}

/** A piece of a binary message, more of which follows. */
export class BinaryPiece extends BinaryEvent {
  override get final(): boolean {
    return false;
  }
}

const NO_BYTES = new Uint8Array(0);
/** No mask is to be taken off, and the view is made. A function, as a mask is: engines compare those at once. */
const LOOKED: Mask = () => undefined;
