import { BytesAssembly, copyOf, handedOver, SMALLEST } from "../bytes/assembly.js";
import { FEW, Gap, NO_TEXT } from "../bytes/gap.js";
import { decodeAs, isUtf8, portableUtf8 } from "../bytes/utf8.js";
import { viewOf } from "../bytes/view.js";
import type { MessageCoding, MessageDecoder } from "../coding.js";
import { BinaryEvent, BinaryPiece, TextEvent, TextPiece } from "./events.js";
import { BINARY, CLOSE, CONTINUATION, TEXT, writeKey } from "../frame/header.js";
import type { FrameReaderOptions } from "../frame/reader.js";
import { FrameReader, NONE } from "../frame/reader.js";
import { mask, maskIntoOf, rotateKey } from "../frame/masking.js";
import type { Mask, MaskInto, Utf8 } from "../platform.js";
import type { RuleName } from "../rules.js";
import { TextAssembly } from "./assembly.js";

export interface MessageReaderOptions extends FrameReaderOptions {
  /** Whether messages come piece by piece as they arrive. */
  readonly streaming: boolean;
  /** Whether texts come decoded, or as bytes that were checked. */
  readonly text: "string" | "bytes";
  readonly utf8: Utf8 | undefined;
  readonly maskInto: MaskInto | undefined;
}

// Where a reader stands. Numbers, as every message asks for it.

/** Before a frame, or in a message of which nothing special is to be known. */
const READING = 0;
/** In a message in one frame, a text or a short binary one, that is gathered and told when it is whole. */
const GATHERING = 1;
/** In a header that a chunk's end has cut. */
const HEADER = 2;
/** In a coded message of which there is more to be pulled. */
const PULLING = 3;
/** Where nothing can be read any more: there is a `fault`. */
const FAULTY = 4;
/** Amid something that counts as read, and is not told or stored yet: should the platform throw there, it is lost, and it stays so. */
const TORN = 5;
/** At a control frame, until somebody says that it was dealt with. */
const CONTROL = 6;

/** The longest message that is delivered whole, in bytes: V8 has no longer strings. */
const LONGEST_MESSAGE = 2 ** 29 - 24;

/** Up to this many bytes a message is short: a longer one is better unmasked on the way, which saves a pass. */
const SHORT = 16384;

/**
 * Whether a short message in one frame is gathered as it came, and stays masked until somebody looks at it. Not the shortest: whoever
 * looks at a part of an array makes a buffer of it.
 */
function staysMasked(length: number): boolean {
  return length > SMALLEST && length <= SHORT;
}

/** Reads messages off frames: assembles fragments (RFC 6455 5.4) and checks texts (8.1). It stops at each control frame. */
export class MessageReader {
  /** The frames. */
  readonly frames: FrameReader;
  /** Where the next bytes may go, if they are few. */
  readonly gap: Gap = new Gap();
  /** After `next()` returned undefined: the rule that was broken, and the place in the stream of the byte that shows it. */
  fault: RuleName | undefined;
  faultOffset: number | undefined;
  /** What was agreed for messages with RSV1, and its state where there is one. To be changed only `atRest`. */
  coding: MessageCoding | undefined;
  decoder: MessageDecoder | undefined;
  private readonly maxMessageSize: number;
  private readonly streaming: boolean;
  private readonly decodes: boolean;
  private readonly utf8: Utf8;
  private readonly applyMask: Mask;
  /** What takes the mask off a binary message, where frames come masked. */
  private readonly binaryMask: Mask | undefined;
  private readonly applyMaskInto: MaskInto;
  /** The opcode of the message that is not over. */
  private opcode = BINARY;
  /** Whether it is coded, and, if so, how many bytes of it were pulled. */
  private coded = false;
  private pulled = 0;
  private text: TextAssembly | undefined;
  private bytes: BytesAssembly | undefined;
  private state:
    | typeof READING
    | typeof GATHERING
    | typeof HEADER
    | typeof PULLING
    | typeof FAULTY
    | typeof TORN
    | typeof CONTROL = READING;

  constructor(options: MessageReaderOptions) {
    const { maxMessageSize = Infinity, streaming } = options;
    const longest = streaming ? maxMessageSize : Math.min(maxMessageSize, LONGEST_MESSAGE);
    this.frames = new FrameReader({ ...options, maxMessageSize: longest, leavesMasked: true });
    this.maxMessageSize = longest;
    this.streaming = streaming;
    this.decodes = options.text === "string";
    this.utf8 = options.utf8 ?? portableUtf8;
    this.applyMask = options.mask ?? mask;
    this.binaryMask = options.masked ? this.applyMask : undefined;
    this.applyMaskInto = maskIntoOf(options);
  }

  /** Whether it stands between two messages, with nothing read of the next. */
  get atRest(): boolean {
    return this.frames.atRest && this.state === READING;
  }

  /** Whether `frames` stands on a control frame. It stays there until `passControl`. */
  get atControl(): boolean {
    return this.state === CONTROL;
  }

  /** Goes on behind the control frame. */
  passControl(): void {
    this.state = READING;
  }

  /** Whether all that came is in the gap, and shows nothing. The gap is then open for more. */
  isStarved(): boolean {
    return this.state !== READING && this.gap.look();
  }

  /** Reads on, to a message or a piece of one; undefined: a control frame (`atControl`), a `fault`, or bytes are needed. */
  next(): TextEvent | BinaryEvent | undefined {
    if (this.state !== READING) return this.nextOfAnyKind();
    const { frames } = this;
    const { bytes } = frames.input;
    const opcode = frames.nextWhole();
    if (opcode === BINARY) return new BinaryEvent(bytes, frames.start, frames.end, this.binaryMask);
    if (opcode === NONE) return this.nextOfAnyKind();
    this.state = TORN;
    const isAscii = frames.unmaskText();
    let event = this.textOf(bytes, frames.start, frames.end, isAscii);
    if (event === undefined) {
      frames.tell(opcode);
      event = this.faultyText();
    }
    if (this.isTorn()) this.state = READING;
    return event;
  }

  /** `next` for all that is not so simple. */
  private nextOfAnyKind(): TextEvent | BinaryEvent | undefined {
    const count = this.gap.close();
    if (count > 0) this.takeGap(count);
    if (this.state === FAULTY || this.state === CONTROL) return undefined;
    if (this.state === TORN) {
      this.fail("platform-failed", undefined);
      return undefined;
    }
    if (this.state === PULLING) {
      const piece = this.pull();
      if (this.isTorn()) this.state = READING;
      if (piece !== undefined || this.isFaulty()) return piece;
    }
    if (!this.isGathering()) {
      if (!this.frames.hasBytes()) return undefined;
      this.state = TORN;
      const told = this.readOn();
      if (this.isTorn()) this.state = this.frames.openHeaderGap(this.gap) ? HEADER : READING;
      if (!this.isGathering()) return told;
      this.frames.letGo();
    }
    return this.gather();
  }

  /** Reads frames on, to a message or a piece of one, to a control frame, or to where one is to be gathered. */
  private readOn(): TextEvent | BinaryEvent | undefined {
    const { frames } = this;
    for (let more = frames.nextOfAnyKind(); more; more = frames.next()) {
      const { opcode, missing } = frames;
      if (opcode >= CLOSE) {
        this.state = CONTROL;
        return undefined;
      }
      const final = missing === 0 && frames.fin;
      if (frames.first && opcode !== CONTINUATION) {
        this.coded = frames.rsv1;
        // Most messages are one frame that lies in one chunk.
        if (final && !this.coded) return opcode === BINARY ? this.wholeBinary() : this.wholeText();
        this.opcode = opcode;
        this.pulled = 0;
      }
      const piece = this.coded ? this.pull() : this.framePiece(final);
      if (piece !== undefined || !this.isTorn()) return piece;
    }
    if (frames.fault !== undefined) this.fail(frames.fault, frames.faultOffset);
    return undefined;
  }

  /** Reads the `count` bytes that are in the gap. */
  private takeGap(count: number): void {
    const { frames, gap } = this;
    if (this.state === HEADER) {
      frames.headerFilled(count);
      return;
    }
    frames.payloadFilled(count);
    if (this.opcode === TEXT) (this.text as TextAssembly).filled(gap, count);
    else (this.bytes as BytesAssembly).filled(count);
  }

  /** Opens the gap for what is to come of the message that is gathered, but for its last byte. */
  private openGap(): void {
    const { gap, frames } = this;
    const { length, missing, nextKey } = frames;
    const most = missing - 1;
    if (this.opcode === TEXT) {
      (this.text as TextAssembly).openGap(gap, most, length, nextKey);
    } else {
      const key = staysMasked(length) ? 0 : nextKey;
      (this.bytes as BytesAssembly).openGap(gap, most, length, key, NO_TEXT);
    }
  }

  /** Goes on with a message in one frame that comes in many chunks, to its end. Undefined: bytes are needed, or there is a `fault`. */
  private gather(): TextEvent | BinaryEvent | undefined {
    const { frames } = this;
    const { input } = frames;
    while (input.position < input.end || input.advance()) {
      const { bytes } = input;
      const over = frames.takePart();
      this.state = TORN;
      const { start, end, key, length } = frames;
      const isText = this.opcode === TEXT;
      const isAscii = isText && key !== 0 && this.applyMask(bytes, start, end, key, true) === true;
      const asItCame = staysMasked(length);
      let event;
      if (isText) event = this.textPiece(bytes, start, end, over, isAscii);
      else if (over) event = this.endBinary(bytes, start, end, length, key, asItCame);
      else (this.bytes as BytesAssembly).append(bytes, start, end, length, asItCame ? 0 : key);
      if (this.isFaulty()) return undefined;
      this.state = over ? READING : GATHERING;
      if (over) return event;
    }
    if (frames.end - frames.start < FEW) this.openGap();
    return undefined;
  }

  /** It may stay masked until somebody looks at it. */
  private wholeBinary(): BinaryEvent {
    const { bytes, start, end, key } = this.frames;
    return new BinaryEvent(bytes, start, end, key === 0 ? undefined : this.binaryMask);
  }

  private wholeText(): TextEvent | undefined {
    const isAscii = this.frames.unmask(true);
    const { bytes, start, end } = this.frames;
    return this.textOf(bytes, start, end, isAscii) ?? this.faultyText();
  }

  /** The text that is all of `bytes[start, end)`, which may be known to be ASCII; undefined where it is not UTF-8. */
  private textOf(bytes: Uint8Array, start: number, end: number, isAscii: boolean): TextEvent | undefined {
    if (!this.decodes) {
      const isValid = isAscii || isUtf8(this.utf8, bytes, start, end);
      return isValid ? new TextEvent(undefined, viewOf(bytes, start, end)) : undefined;
    }
    const text = decodeAs(this.utf8, bytes, start, end, isAscii);
    return text === undefined ? undefined : new TextEvent(text, undefined);
  }

  /** A whole text that is not UTF-8: finds the byte at fault. */
  private faultyText(): TextEvent | undefined {
    const { bytes, start, end } = this.frames;
    this.coded = false; // whatever the last message was
    return this.textPiece(bytes, start, end, true, false);
  }

  /** What the codec makes of the piece; undefined where there is no message yet, nor a part of one to tell. */
  private pull(): TextEvent | BinaryEvent | undefined {
    const { frames } = this;
    const decoder = (this.decoder ??= (this.coding as MessageCoding).createDecoder());
    if (this.state !== PULLING) {
      frames.unmask();
      decoder.push(frames.bytes, frames.start, frames.end);
    }
    for (;;) {
      this.state = TORN;
      const left = this.maxMessageSize - this.pulled;
      const room = Math.min(pulledBytes.length, left + 1); // RFC 6455 10.4: not a byte more than shows it
      let size = 0;
      let at = decoder.pull(pulledBytes, 0, room);
      while (at > size && at < room) {
        size = at;
        at = decoder.pull(pulledBytes, size, room);
      }
      const more = at === room;
      if (at > size) size = at;
      const last = !more && frames.missing === 0 && frames.fin;
      if (at < 0 || (last && !decoder.end())) this.fail("bad-coding", undefined);
      if (size > left) this.fail("message-limit", undefined);
      // What was pulled before the fault is gone on with: it is told with streaming, and a text may be faulty there already, as it would be
      // told had the bytes been cut there.
      const piece = this.decoded(Math.min(size, left), last && !this.isFaulty());
      if (more && this.isTorn()) this.state = PULLING;
      if (piece !== undefined || !more || this.isFaulty()) return piece;
    }
  }

  /** Goes on with the first `size` of the bytes that were pulled. They are overwritten afterwards. */
  private decoded(size: number, final: boolean): TextEvent | BinaryEvent | undefined {
    const whole = final && this.pulled === 0;
    this.pulled += size;
    if (whole && this.opcode === BINARY) return BinaryEvent.of(copyOf(pulledBytes, 0, size));
    if (whole && this.decodes) {
      const text = this.utf8.decode(pulledBytes, 0, size);
      if (text !== undefined) return new TextEvent(text, undefined);
    }
    return this.piece(copyOf(pulledBytes, 0, size), 0, size, final, false);
  }

  private framePiece(final: boolean): TextEvent | BinaryEvent | undefined {
    const { frames } = this;
    const isText = this.opcode === TEXT;
    const isAscii = (isText || this.streaming) && frames.unmask(isText);
    return this.piece(frames.bytes, frames.start, frames.end, final, isAscii);
  }

  /** Goes on with `bytes[start, end)`, which stay as they are. */
  private piece(
    bytes: Uint8Array,
    start: number,
    end: number,
    final: boolean,
    isAscii: boolean,
  ): TextEvent | BinaryEvent | undefined {
    return this.opcode === TEXT
      ? this.textPiece(bytes, start, end, final, isAscii)
      : this.binaryPiece(bytes, start, end, final);
  }

  /** A binary message that is not over, or not in one piece. */
  private binaryPiece(
    bytes: Uint8Array,
    start: number,
    end: number,
    final: boolean,
  ): BinaryEvent | undefined {
    if (this.streaming) {
      if (final) return new BinaryEvent(bytes, start, end, undefined);
      return end > start ? new BinaryPiece(bytes, start, end, undefined) : undefined;
    }
    const assembly = (this.bytes ??= new BytesAssembly(this.applyMaskInto));
    const { key, length, isWhole } = this.frames;
    const isGathered = isWhole && !this.coded;
    const asItCame = isGathered && staysMasked(length);
    const { size } = assembly;
    if (final) return this.endBinary(bytes, start, end, size + end - start, key, asItCame);
    assembly.append(bytes, start, end, this.total(size, end - start), asItCame ? 0 : key);
    if (isGathered) this.state = GATHERING;
    return undefined;
  }

  /** A binary message of `size` bytes that ends with `bytes[start, end)`; what was gathered before is masked as well, if it stays `asItCame`. */
  private endBinary(
    bytes: Uint8Array,
    start: number,
    end: number,
    size: number,
    key: number,
    asItCame: boolean,
  ): BinaryEvent {
    const assembly = this.bytes as BytesAssembly;
    const filled = assembly.takeFilled(bytes, start, end, key);
    if (filled !== undefined) return BinaryEvent.of(filled);
    // Its key goes before what stays masked, as it stands in a frame.
    const keySize = asItCame && key !== 0 ? 4 : 0;
    const target = handedOver.reserve(keySize + size);
    const at = handedOver.at + keySize;
    const last = assembly.takeInto(target, at);
    assembly.copy(bytes, start, end, asItCame ? 0 : key, target, last);
    if (keySize > 0) {
      writeKey(rotateKey(key, at - last), target, at - keySize);
      return new BinaryEvent(target, at, at + size, this.binaryMask);
    }
    // Of a slab no view is made before somebody looks.
    return target.length === size
      ? BinaryEvent.of(target)
      : new BinaryEvent(target, at, at + size, undefined);
  }

  /** A text that is not over, not in one piece, or not UTF-8. */
  private textPiece(
    bytes: Uint8Array,
    start: number,
    end: number,
    final: boolean,
    isAscii: boolean,
  ): TextEvent | undefined {
    const assembly = (this.text ??= new TextAssembly(this.utf8, this.decodes));
    if (final && this.decodes) {
      const text = assembly.finish(bytes, start, end, isAscii);
      if (text !== undefined) return new TextEvent(text, undefined);
    }
    let wrong = assembly.append(bytes, start, end, this.total(assembly.size, end - start), isAscii);
    if (wrong < 0 && final && !assembly.whole) wrong = end;
    if (wrong >= 0) {
      // RFC 6455 8.1. A byte that was decoded has no place in the stream.
      this.fail("invalid-utf8", this.coded ? undefined : this.frames.offset + wrong - start);
      // With streaming, what was right comes first, however the bytes were cut.
      return this.streaming ? this.takeText(assembly, false) : undefined;
    }
    if (!final && !this.streaming) {
      if (!this.coded && this.frames.isWhole) this.state = GATHERING;
      return undefined;
    }
    if (final) this.text = undefined;
    return this.takeText(assembly, final);
  }

  /** What is whole of a text; undefined where there is nothing to tell. */
  private takeText(assembly: TextAssembly, final: boolean): TextEvent | undefined {
    if (this.decodes) {
      const text = assembly.takeText();
      if (final) return new TextEvent(text, undefined);
      return text === "" ? undefined : new TextPiece(text, undefined);
    }
    const payload = assembly.takeBytes();
    if (final) return new TextEvent(undefined, payload);
    return payload.length === 0 ? undefined : new TextPiece(undefined, payload);
  }

  /** How many bytes a message will have of which `size` are assembled and so many more are there, as far as its frames tell. */
  private total(size: number, more: number): number {
    return this.frames.fin && !this.coded ? size + more + this.frames.missing : Infinity;
  }

  // Methods, as what they ask may change in calls that a compiler does not look into.

  private isFaulty(): boolean {
    return this.state === FAULTY;
  }

  private isGathering(): boolean {
    return this.state === GATHERING;
  }

  private isTorn(): boolean {
    return this.state === TORN;
  }

  private fail(rule: RuleName, offset: number | undefined): void {
    this.state = FAULTY;
    this.fault = rule;
    this.faultOffset = offset;
  }
}

/** What is pulled at once: most messages are over with it. */
const pulledBytes = /* @__PURE__ */ new Uint8Array(16384);
