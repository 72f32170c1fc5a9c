import { BytesAssembly } from "../bytes/assembly.js";
import { checkUtf8, codePointSeam } from "../bytes/utf8.js";
import type { Utf8 } from "../platform.js";

/** Gathers the pieces of a text, checked byte by byte as they come (RFC 6455 8.1), cut only between code points. */
export class TextAssembly {
  /** What was decoded and not taken. */
  private text = "";
  /** What was checked and not decoded: whole code points and at most one that is not over. */
  private readonly held = new BytesAssembly();
  /** Where the check stands: see `checkUtf8`. */
  private state = 0;
  private readonly utf8: Utf8;
  private readonly decodes: boolean;

  /** With `decodes` the text is taken with `takeText`; else it stays bytes, for `takeBytes`. */
  constructor(utf8: Utf8, decodes: boolean) {
    this.utf8 = utf8;
    this.decodes = decodes;
  }

  /** How many bytes are held. */
  get size(): number {
    return this.held.size;
  }

  /** Whether the text may end here: not inside a code point. */
  get whole(): boolean {
    return this.state === 0;
  }

  /** Adds `bytes[start, end)` (`total` as in `BytesAssembly`); returns the index of the first byte that cannot stand there, or -1. */
  append(bytes: Uint8Array, start: number, end: number, total: number): number {
    const { decodes } = this;
    if (decodes && end - start >= DECODE_DIRECTLY_FROM) {
      // Finish the code point that is open, decode all that is whole without a copy, and keep the rest.
      let at = start;
      while (this.state !== 0) {
        const state = checkUtf8(this.state, bytes, at, at + 1);
        if (state < 0) return this.holdUpTo(~state, bytes, start);
        this.state = state;
        at++;
      }
      this.held.append(bytes, start, at, Infinity);
      this.decodeHeld();
      const seam = codePointSeam(bytes, at, end);
      const text = this.utf8.decode(bytes, at, seam);
      if (text === undefined) {
        const state = checkUtf8(0, bytes, at, seam);
        return this.holdUpTo(state < 0 ? ~state : seam, bytes, at); // or the next code point begins too early
      }
      this.text += text;
      start = seam;
    }
    const state = checkUtf8(this.state, bytes, start, end);
    if (state < 0) return this.holdUpTo(~state, bytes, start);
    this.state = state;
    this.held.append(bytes, start, end, decodes ? Infinity : total);
    if (decodes && this.held.size >= DECODE_HELD_FROM) this.decodeHeld();
    return -1;
  }

  /** Hands over the whole code points so far, decoded. */
  takeText(): string {
    this.decodeHeld();
    const { text } = this;
    this.text = "";
    return text;
  }

  /** Hands over the whole code points so far, in UTF-8. */
  takeBytes(): Uint8Array {
    const bytes = this.held.take();
    const seam = this.state === 0 ? bytes.length : codePointSeam(bytes, 0, bytes.length);
    this.held.append(bytes, seam, bytes.length, Infinity);
    return bytes.subarray(0, seam);
  }

  /** Keeps what stands before a byte that cannot stand there: with streaming it is still delivered. */
  private holdUpTo(at: number, bytes: Uint8Array, start: number): number {
    this.held.append(bytes, start, at, Infinity);
    this.state = CUT;
    return at;
  }

  private decodeHeld(): void {
    if (this.held.size === 0) return;
    const bytes = this.takeBytes();
    this.text += this.utf8.decode(bytes, 0, bytes.length) as string; // it was checked
  }
}

/** The state of a text that a wrong byte has cut: whatever is not whole of it stays out. */
const CUT = -1;
/** From this many bytes on, a piece of a text is decoded where it lies. */
const DECODE_DIRECTLY_FROM = 1024;
/** Held bytes are decoded once they are this many. */
const DECODE_HELD_FROM = 16384;
