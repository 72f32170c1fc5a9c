import { checkUtf8 } from "./utf8.js";

/** Fewer bytes than this are copied by a loop, which costs less than a view of them. */
export const FEW = 32;

// What state it is in. Numbers, as every chunk asks for it.

/** Something came that is not in it, or it was never opened. */
const SHUT = 0;
/** All that came is in it, and somebody has looked for more since. Who stops has the rest stored, where it is counted. */
const OPEN = 1;
/** All that came is in it. */
const FILLED = 2;

/**
 * A place for bytes that are awaited and can show nothing: all but the last of a cut header, or of a message that is gathered. Few bytes go
 * there as they arrive, without their way through the input and the reader, which is told of all of them at once when it reads on.
 */
export class Gap {
  /** The state of `checkUtf8` after what is in it, and an OR of that; of a text. */
  utf8State = 0;
  or = 0;
  /** Where they go: the next at `at`, and none at `end`. */
  private bytes: Uint8Array = NO_BYTES;
  private start = 0;
  private at = 0;
  private end = 0;
  /** What they are masked with, if they are to be unmasked. */
  private key = 0;
  /** Which bits none of them may have without a look at its UTF-8. */
  private notAscii = 0;
  private state: typeof SHUT | typeof OPEN | typeof FILLED = SHUT;

  /** Opens it for a part of a header, or of a binary message whose next byte is masked with `key`, if that is not 0: for `bytes[at, end)`. */
  open(bytes: Uint8Array, at: number, end: number, key: number): void {
    this.bytes = bytes;
    this.start = this.at = at;
    this.end = end;
    this.key = key;
    this.notAscii = this.utf8State = this.or = 0;
    this.state = OPEN;
  }

  /** The same for a part of a text, of which `utf8State` tells what came before. */
  openForText(bytes: Uint8Array, at: number, end: number, key: number, utf8State: number): void {
    this.open(bytes, at, end, key);
    this.utf8State = utf8State;
    this.notAscii = 0x80;
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
    if ((or & this.notAscii) !== 0 || this.utf8State !== 0) {
      const state = checkUtf8(this.utf8State, target, at, at + count); // RFC 6455 8.1
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
    this.start = this.at;
    this.state = SHUT;
    return count;
  }

  private shut(): false {
    this.state = SHUT;
    return false;
  }
}

const NO_BYTES = new Uint8Array(0);
