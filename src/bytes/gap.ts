import { checkUtf8 } from "./utf8.js";

/** Fewer bytes than this are copied by a loop, which costs less than a view of them. */
export const FEW = 32;

/** In place of a state of `checkUtf8`: what is gathered is no text. Nor is it a fault's. */
export const NO_TEXT = -2;

// What state it is in. Numbers, as every chunk asks for it.

/** Something came that is not in it, or it was never opened. */
const SHUT = 0;
/** All that came is in it, and somebody has looked for more since. */
const OPEN = 1;
/** All that came is in it. Without another look, what comes next is stored in the input, which counts it. */
const FILLED = 2;

/**
 * A place for bytes that are awaited and can show nothing: of a cut header those before the next that may, of a message that is gathered all
 * but the last, as far as there is room. Few bytes go there as they arrive, without their way through the input and the reader, which is
 * told of all of them at once when it reads on.
 */
export class Gap {
  /** The state of `checkUtf8` after what is in it; NO_TEXT where it is none. */
  utf8State: number = NO_TEXT;
  /** An OR of what is in it. */
  or = 0;
  /** Where they go: the next at `at`, and none at `end`. */
  private bytes: Uint8Array = NO_BYTES;
  private start = 0;
  private at = 0;
  private end = 0;
  /** What they are masked with, if they are to be unmasked. */
  private key = 0;
  private state: typeof SHUT | typeof OPEN | typeof FILLED = SHUT;

  /**
   * Opens it for `bytes[at, end)`. What comes is unmasked with `key`, if that is not 0, and checked where it is of a text: `utf8State` tells
   * what came before.
   */
  open(bytes: Uint8Array, at: number, end: number, key: number, utf8State: number): void {
    this.bytes = bytes;
    this.start = this.at = at;
    this.end = end;
    this.key = key;
    this.utf8State = utf8State;
    this.or = 0;
    this.state = OPEN;
  }

  /** Whether all that came is in it. Then it is open for more. */
  look(): boolean {
    if (this.state === SHUT) return false;
    this.state = OPEN;
    return true;
  }

  /** Takes `bytes` that came. Where it is not open, or they are too many, or cannot stand in a text, it takes none, and is shut. */
  fill(bytes: Uint8Array): boolean {
    const count = bytes.length;
    const { bytes: target, at } = this;
    if (this.state !== OPEN || count > this.end - at || count >= FEW) return this.shut();
    let { key } = this;
    let or = 0;
    for (let i = 0; i < count; i++) {
      const byte = (bytes[i] as number) ^ (key & 0xff);
      target[at + i] = byte;
      or |= byte;
      key = (key >>> 8) | (key << 24);
    }
    const { utf8State } = this;
    if (utf8State !== NO_TEXT && (or > 0x7f || utf8State !== 0)) {
      const state = checkUtf8(utf8State, target, at, at + count); // RFC 6455 8.1
      if (state < 0) return this.shut();
      this.utf8State = state;
    }
    this.state = FILLED;
    this.or |= or;
    this.key = key;
    this.at = at + count;
    return true;
  }

  /** Closes it; returns how many bytes are in it, which their owner then has. */
  close(): number {
    const count = this.at - this.start;
    this.bytes = NO_BYTES; // a quiet connection pins none
    this.start = this.at = this.end = 0;
    this.state = SHUT;
    return count;
  }

  private shut(): false {
    this.state = SHUT;
    return false;
  }
}

const NO_BYTES = new Uint8Array(0);
