import { BytesAssembly } from "../bytes/assembly.js";
import type { Gap } from "../bytes/gap.js";
import { CHECK_NATIVELY_FROM, checkUtf8, codePointSeam, decodeAs, isUtf8 } from "../bytes/utf8.js";
import type { Utf8 } from "../platform.js";

/** The state of a text that a wrong byte has cut: whatever is not whole of it stays out. */
const CUT = -1;
/** The longest text that is decoded where it is gathered. */
const DECODED_IN_PLACE = 1_048_576;

/** Gathers the pieces of a text, checked as they come (RFC 6455 8.1), cut only between code points. */
export class TextAssembly {
  private readonly held: BytesAssembly;
  /** Where the check stands: see `checkUtf8`. */
  private state = 0;
  /** Whether all that is held is known to be ASCII. */
  private isAscii = true;
  private readonly utf8: Utf8;

  /** `decodes`: it is to be handed over decoded. */
  constructor(utf8: Utf8, decodes: boolean) {
    this.utf8 = utf8;
    this.held = new BytesAssembly(undefined, decodes);
  }

  /** How many bytes are held. */
  get size(): number {
    return this.held.size;
  }

  /** Whether the text may end here: not inside a code point. */
  get whole(): boolean {
    return this.state === 0;
  }

  /**
   * Adds `bytes[start, end)`, which may be known to be ASCII (`total` as in `BytesAssembly`); returns the index of the first byte that
   * cannot stand there, or -1.
   */
  append(bytes: Uint8Array, start: number, end: number, total: number, isAscii: boolean): number {
    if (!isAscii && end > start) this.isAscii = false;
    const state = isAscii && this.state === 0 ? 0 : this.check(bytes, start, end);
    if (state >= 0) {
      this.state = state;
      this.held.append(bytes, start, end, total);
      return -1;
    }
    // What stands before it is kept: with streaming it is still delivered.
    this.held.append(bytes, start, ~state, Infinity);
    this.state = CUT;
    return ~state;
  }

  /** As that of `BytesAssembly`. */
  openGap(gap: Gap, most: number, total: number, key: number): void {
    this.held.openGap(gap, most, total, key, this.state);
  }

  /** Adds what is in `gap`, `count` bytes. */
  filled(gap: Gap, count: number): void {
    if (gap.or > 0x7f) this.isAscii = false;
    this.state = gap.utf8State;
    this.held.filled(count);
  }

  /**
   * Hands over the text that ends with `bytes[start, end)`, which may be known to be ASCII. Undefined where it is not UTF-8, or too long to
   * be decoded where it is gathered: then all that was gathered still is.
   */
  finish(bytes: Uint8Array, start: number, end: number, isAscii: boolean): string | undefined {
    const { size, held } = this;
    if (size === 0) return decodeAs(this.utf8, bytes, start, end, isAscii);
    const length = size + end - start;
    if (length > DECODED_IN_PLACE) return undefined;
    const room = held.gathered(end - start);
    held.copy(bytes, start, end, 0, room, size);
    const text = decodeAs(this.utf8, room, 0, length, this.isAscii && isAscii);
    if (text !== undefined) this.clear();
    return text;
  }

  private clear(): void {
    this.held.clear();
    this.state = 0;
    this.isAscii = true;
  }

  /** Hands over the whole code points so far, decoded. */
  takeText(): string {
    const { size, held } = this;
    if (size > DECODED_IN_PLACE) {
      const bytes = this.takeBytes();
      return decodeValid(this.utf8, bytes, bytes.length, this.isAscii);
    }
    const room = held.gathered(0);
    const seam = this.seam(room, size);
    const text = decodeValid(this.utf8, room, seam, this.isAscii);
    held.clear();
    held.append(room, seam, size, Infinity); // up to three bytes, copied to a place before them, if it is the same array
    return text;
  }

  /** Hands over the whole code points so far, in UTF-8. */
  takeBytes(): Uint8Array {
    const bytes = this.held.take();
    const seam = this.seam(bytes, bytes.length);
    this.held.append(bytes, seam, bytes.length, Infinity);
    return bytes.subarray(0, seam);
  }

  private seam(bytes: Uint8Array, end: number): number {
    return this.state === 0 ? end : codePointSeam(bytes, 0, end);
  }

  /** As `checkUtf8`, from the state that was reached. */
  private check(bytes: Uint8Array, start: number, end: number): number {
    let { state } = this;
    if (end - start < CHECK_NATIVELY_FROM) return checkUtf8(state, bytes, start, end);
    // Finish the code point that is open, and have the whole ones behind it checked at once.
    let at = start;
    while (state > 0 && at < end) state = checkUtf8(state, bytes, at, ++at);
    if (state !== 0) return state;
    const seam = codePointSeam(bytes, at, end);
    return checkUtf8(0, bytes, isUtf8(this.utf8, bytes, at, seam) ? seam : at, end);
  }
}

/** Decodes the first `size` of `bytes`, which were checked. */
function decodeValid(utf8: Utf8, bytes: Uint8Array, size: number, isAscii: boolean): string {
  return decodeAs(utf8, bytes, 0, size, isAscii) as string;
}
