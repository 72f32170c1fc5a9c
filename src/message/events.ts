import { portableUtf8 } from "../bytes/utf8.js";
import { viewOf } from "../bytes/view.js";
import type { Mask } from "../platform.js";

/** A text message, or with `streaming` a piece of one. */
export class TextEvent {
  readonly type = "text";
  /** False where more of the message follows, which only `streaming` does. */
  readonly final: boolean;
  private decoded: string | undefined;
  private encoded: Uint8Array | undefined;

  /** One of `text` and `payload` is given. */
  constructor(text: string | undefined, payload: Uint8Array | undefined, final: boolean) {
    this.decoded = text;
    this.encoded = payload;
    this.final = final;
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

  /** What a peer's `send` takes to send the same: the text. */
  get data(): string {
    return this.text;
  }
}

/** A binary message, or with `streaming` a piece of one. */
export class BinaryEvent {
  readonly type = "binary";
  /** False where more of the message follows, which only `streaming` does. */
  readonly final: boolean;
  private readonly bytes: Uint8Array;
  private readonly start: number;
  private readonly end: number;
  /** The masking key that the bytes are still masked with; 0: they are not. */
  private key: number;
  private readonly mask: Mask | undefined;
  private view: Uint8Array | undefined;

  /** The payload is `bytes[start, end)`, masked with `key` where that is not 0, which `mask` is to take off. */
  constructor(bytes: Uint8Array, start: number, end: number, final: boolean, key = 0, mask?: Mask) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.final = final;
    this.key = key;
    this.mask = mask;
    this.view = undefined;
  }

  /** Of a payload that is a plain array of its own. */
  static of(payload: Uint8Array, final: boolean): BinaryEvent {
    const event = new BinaryEvent(payload, 0, payload.length, final);
    event.view = payload;
    return event;
  }

  /**
   * The bytes; they stay as they are. They are unmasked and the view is made when it is asked for. Other payloads may be in the same
   * buffer: copy the bytes (`slice()`) where its `buffer` is to be transferred.
   */
  get payload(): Uint8Array {
    return this.view ?? this.look();
  }

  private look(): Uint8Array {
    const { bytes, start, end, key } = this;
    const view = end === start ? NO_BYTES : viewOf(bytes, start, end);
    if (key !== 0) {
      // Many short payloads lie in one array, of which the kernel may know something; a long one spares it a view.
      if (end - start < LONG) this.mask?.(bytes, start, end, key);
      else this.mask?.(view, 0, end - start, key);
    }
    this.key = 0;
    this.view = view;
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

const NO_BYTES = new Uint8Array(0);
const LONG = 512;
