import { BytesAssembly } from "../bytes/assembly.js";
import { checkUtf8, portableUtf8 } from "../bytes/utf8.js";
import { viewOf } from "../bytes/view.js";
import { BinaryEvent, TextEvent } from "./events.js";
import { BINARY, CLOSE, CONTINUATION, TEXT } from "../frame/header.js";
import type { FrameReaderOptions } from "../frame/reader.js";
import { FrameReader } from "../frame/reader.js";
import type { Utf8 } from "../platform.js";
import type { RuleName } from "../rules.js";
import { TextAssembly } from "./assembly.js";

export interface MessageReaderOptions extends FrameReaderOptions {
  /** Whether messages come piece by piece as they arrive. */
  readonly streaming: boolean;
  /** Whether texts come decoded, or as bytes that were checked. */
  readonly text: "string" | "bytes";
  readonly utf8: Utf8 | undefined;
}

/** The longest message that is delivered whole, in bytes: V8 has no longer strings. */
const LONGEST_MESSAGE = 2 ** 29 - 24;

/** Reads messages off frames: assembles fragments (RFC 6455 5.4) and checks texts (8.1). Control frames pass by. */
export class MessageReader {
  /** The frames. */
  readonly frames: FrameReader;
  /** After `next()` returned undefined: whether `frames` stands on a control frame. */
  atControl = false;
  /** After `next()` returned undefined: the rule that was broken, and the place in the stream of the byte that shows it. */
  fault: RuleName | undefined;
  faultOffset = 0;
  private readonly streaming: boolean;
  private readonly decodes: boolean;
  private readonly utf8: Utf8;
  /** The opcode of the message that is not over. */
  private opcode = BINARY;
  private text: TextAssembly | undefined;
  private bytes: BytesAssembly | undefined;

  constructor(options: MessageReaderOptions) {
    const { maxMessageSize = Infinity, streaming } = options;
    const longest = streaming ? maxMessageSize : Math.min(maxMessageSize, LONGEST_MESSAGE);
    this.frames = new FrameReader({ ...options, maxMessageSize: longest });
    this.streaming = streaming;
    this.decodes = options.text === "string";
    this.utf8 = options.utf8 ?? portableUtf8;
  }

  /** Whether it stands between two messages, with nothing read of the next. */
  get atRest(): boolean {
    return this.frames.atRest && this.fault === undefined;
  }

  /** Reads on, to a message or a piece of one; undefined: a control frame (`atControl`), a `fault`, or bytes are needed. */
  next(): TextEvent | BinaryEvent | undefined {
    const { frames } = this;
    this.atControl = false;
    if (this.fault !== undefined) return undefined;
    while (frames.next()) {
      const { opcode, missing } = frames;
      if (opcode >= CLOSE) {
        this.atControl = true;
        return undefined;
      }
      const final = missing === 0 && frames.fin;
      if (frames.first && opcode !== CONTINUATION) {
        // Most messages are one frame that lies in one chunk.
        if (final) {
          if (opcode === BINARY) return new BinaryEvent(frames.bytes, frames.start, frames.end, true);
          return this.wholeText();
        }
        this.opcode = opcode;
      }
      const piece = this.opcode === TEXT ? this.textPiece(final) : this.binaryPiece(final);
      if (piece !== undefined || this.fault !== undefined) return piece;
    }
    if (frames.fault !== undefined) this.fail(frames.fault, frames.faultOffset);
    return undefined;
  }

  private wholeText(): TextEvent | undefined {
    const { bytes, start, end } = this.frames;
    if (this.decodes) {
      const text = this.utf8.decode(bytes, start, end);
      if (text !== undefined) return new TextEvent(text, undefined, true);
    } else if (checkUtf8(0, bytes, start, end) === 0) {
      return new TextEvent(undefined, viewOf(bytes, start, end), true);
    }
    return this.textPiece(true); // which finds the byte at fault
  }

  /** A binary message that is not over, or not in one piece. */
  private binaryPiece(final: boolean): BinaryEvent | undefined {
    const { bytes, start, end } = this.frames;
    if (this.streaming) return end > start || final ? new BinaryEvent(bytes, start, end, final) : undefined;
    const assembly = (this.bytes ??= new BytesAssembly());
    assembly.append(bytes, start, end, this.total(assembly.size));
    if (!final) return undefined;
    this.bytes = undefined;
    const payload = assembly.take();
    return new BinaryEvent(payload, 0, payload.length, true);
  }

  /** A text that is not over, not in one piece, or not UTF-8. */
  private textPiece(final: boolean): TextEvent | undefined {
    const { bytes, start, end, offset } = this.frames;
    const assembly = (this.text ??= new TextAssembly(this.utf8, this.decodes));
    let wrong = assembly.append(bytes, start, end, this.total(assembly.size));
    if (wrong < 0 && final && !assembly.whole) wrong = end;
    if (wrong >= 0) {
      this.fail("invalid-utf8", offset + wrong - start); // RFC 6455 8.1
      // With streaming, what was right comes first, however the bytes were cut.
      return this.streaming ? this.takeText(assembly, false) : undefined;
    }
    if (!final && !this.streaming) return undefined;
    if (final) this.text = undefined;
    return this.takeText(assembly, final);
  }

  /** What is whole of a text; undefined where there is nothing to tell. */
  private takeText(assembly: TextAssembly, final: boolean): TextEvent | undefined {
    if (this.decodes) {
      const text = assembly.takeText();
      return text === "" && !final ? undefined : new TextEvent(text, undefined, final);
    }
    const payload = assembly.takeBytes();
    return payload.length === 0 && !final ? undefined : new TextEvent(undefined, payload, final);
  }

  /** How many bytes a message will have of which `size` are assembled, as far as its frames tell. */
  private total(size: number): number {
    const { fin, start, end, missing } = this.frames;
    return fin ? size + (end - start) + missing : Infinity;
  }

  private fail(rule: RuleName, offset: number): void {
    this.fault = rule;
    this.faultOffset = offset;
  }
}
