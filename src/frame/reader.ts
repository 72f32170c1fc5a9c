import type { Gap } from "../bytes/gap.js";
import { NO_TEXT } from "../bytes/gap.js";
import { Input } from "../bytes/input.js";
import { viewOf } from "../bytes/view.js";
import type { Mask } from "../platform.js";
import type { RuleName } from "../rules.js";
import {
  BINARY,
  CLOSE,
  CONTINUATION,
  FIN,
  MASK,
  MAX_CONTROL_PAYLOAD,
  MAX_HEADER_SIZE,
  PONG,
  readKey,
  RSV1,
  TEXT,
} from "./header.js";
import { mask, rotateKey } from "./masking.js";

/** No opcode: what `nextWhole` returns for all that is not so simple. */
export const NONE = 0;

// Which table of first bytes holds (below): a sum of these.
const INSIDE_MESSAGE = 0x100;
const RSV1_ALLOWED = 0x200;

/** What frames to read, and from where. */
export interface FrameReaderOptions {
  /** Whether the frames to read are masked: those of a client are, those of a server are not (RFC 6455 5.1). */
  readonly masked: boolean;
  /** Whether RSV1 may be set on a message's first frame (RFC 7692 6). Default false. */
  readonly rsv1?: boolean;
  /** The longest payload of one frame, in bytes. Default Infinity. */
  readonly maxFrameSize?: number;
  /** The longest message, its fragments' payloads added up, in bytes. Default Infinity. */
  readonly maxMessageSize?: number;
  /** The masking kernel. Default: the portable one. */
  readonly mask?: Mask | undefined;
  /**
   * Whether the pieces of data frames may be left masked, with `key`, for who copies them anyhow and can unmask them on the way.
   * Default false.
   */
  readonly leavesMasked?: boolean;
  /** Where the bytes come from. Default: an input of its own, which `receive` fills. */
  readonly input?: Input;
}

/**
 * Reads frames off a stream of bytes (RFC 6455 5.2), whatever its chunks. Every rule about a header is checked on the
 * first of its bytes that shows the fault.
 *
 * `next()` goes on to the next piece of a payload and leaves it in this object's fields. A control frame is one piece,
 * always; a data frame is one piece where it lies in one chunk, else a piece for each chunk that has some of it, the
 * first of which may be empty.
 */
export class FrameReader {
  /** The first byte of the frame that the piece is of: FIN, reserved bits and opcode (RFC 6455 5.2). */
  firstByte = 0;
  /** The length of its payload, in bytes. */
  length = 0;
  /** How many bytes of that are to come after the piece. */
  missing = 0;

  /** The piece: `bytes[start, end)`. */
  bytes: Uint8Array = NO_BYTES;
  start = 0;
  end = 0;
  /** The masking key that it is still masked with, its first byte lowest; 0: it is not. Only with `leavesMasked`. */
  key = 0;
  /** Whether the frame begins with this piece. */
  first = true;

  /** Once nothing can be read any more: the rule that was broken, and the place in the stream of the byte that shows it. */
  fault: RuleName | undefined;
  faultOffset = 0;

  /** Where the bytes come from. */
  input: Input;
  private readonly maskBit: number;
  /** The size of a header that holds its length in seven bits. */
  private readonly shortHeaderSize: number;
  /** The longest message for `nextWhole`: of a length that two bytes hold, and within the limits. */
  private readonly maxWholeLength: number;
  /** That while it stands between two messages, with nothing read of the next; else -1, so that no message is short enough. */
  private wholeUpTo: number;
  private readonly maxFrameSize: number;
  private readonly maxMessageSize: number;
  /** Coded, a message may be longer than it is: DEFLATE has stored blocks, and empty ones. */
  private readonly maxCodedSize: number;
  private readonly applyMask: Mask;
  private readonly leavesMasked: boolean;
  /** Which of the tables of first bytes holds: INSIDE_MESSAGE | RSV1_ALLOWED. */
  private table: number;
  /** Whether the message that is being read had RSV1 set on its first frame. */
  private coded = false;
  /** The payload of the message's frames so far, in bytes. */
  private messageSize = 0;
  /** The masking key of what is to come of the frame. */
  private frameKey = 0;
  /** A header that a chunk's end has cut: its bytes so far. */
  private header: Uint8Array | undefined;
  private headerSize = 0;
  /** How many bytes of it there must be for the next look at it. */
  private headerNeeds = 0;
  /** The payload of a control frame that a chunk's end has cut. */
  private control: Uint8Array | undefined;

  constructor(options: FrameReaderOptions) {
    this.input = options.input ?? new Input();
    this.maskBit = options.masked ? MASK : 0;
    this.shortHeaderSize = options.masked ? 6 : 2;
    this.maxFrameSize = options.maxFrameSize ?? Infinity;
    this.maxMessageSize = options.maxMessageSize ?? Infinity;
    this.maxWholeLength = Math.floor(Math.min(65535, this.maxFrameSize, this.maxMessageSize));
    this.wholeUpTo = this.maxWholeLength;
    this.maxCodedSize = Math.ceil(this.maxMessageSize * (1 + 1 / 64)) + 1024;
    this.applyMask = options.mask ?? mask;
    this.leavesMasked = options.leavesMasked ?? false;
    this.table = options.rsv1 === true ? RSV1_ALLOWED : 0;
  }

  /** Whether it stands between two messages, with nothing read of the next. */
  get atRest(): boolean {
    return this.wholeUpTo >= 0;
  }

  /** The frame's opcode (RFC 6455 11.8). */
  get opcode(): number {
    return this.firstByte & 0x0f;
  }

  /** Whether the message ends with the frame. */
  get fin(): boolean {
    return this.firstByte >= FIN;
  }

  /** Whether the frame is a whole message: not one of its fragments (RFC 6455 5.4). */
  get isWhole(): boolean {
    return this.fin && this.opcode !== CONTINUATION;
  }

  /** Whether the frame has the first reserved bit (RFC 7692 6). */
  get rsv1(): boolean {
    return (this.firstByte & RSV1) !== 0;
  }

  /** Whether the frame is over with the piece. */
  get last(): boolean {
    return this.missing === 0;
  }

  /** The place in the stream of the piece's first byte; meaningful while `next()` was not called again. */
  get offset(): number {
    return this.input.offset - (this.end - this.start);
  }

  /** Whether RSV1 may be set on a message's first frame (RFC 7692 6); to be changed only `atRest`. */
  set rsv1Allowed(allowed: boolean) {
    this.table = allowed ? RSV1_ALLOWED : 0;
  }

  /** Stores `bytes`: themselves where they are `owned` (they are unmasked in place), else a copy. */
  receive(bytes: Uint8Array, owned = false): void {
    this.input.push(bytes, owned);
  }

  /** Reads on. True: the fields tell of a piece. False: bytes are needed, or there is a `fault`. */
  next(): boolean {
    const opcode = this.nextWhole();
    if (opcode === NONE) return this.nextOfAnyKind();
    this.tell(opcode);
    this.key = this.maskBit === 0 ? 0 : readKey(this.bytes, this.start - 4);
    if (!this.leavesMasked) this.unmask();
    return true;
  }

  /**
   * @internal Reads on where what comes is a message in one frame of less than 64 KiB that lies in the chunk, as most do: returns its opcode,
   * and `start` and `end` say where in the input's `bytes` it is, masked still; the other fields are for `tell` to fill. Else it returns
   * NONE and has done nothing.
   */
  nextWhole(): typeof TEXT | typeof BINARY | typeof NONE {
    const { input, shortHeaderSize } = this;
    const { bytes, position, end } = input;
    if (end - position < shortHeaderSize) return NONE;
    const firstByte = bytes[position] as number;
    if (firstByte !== (FIN | BINARY) && firstByte !== (FIN | TEXT)) return NONE;
    let length = (bytes[position + 1] as number) ^ this.maskBit; // over 127 with the wrong mask bit
    let start = position + shortHeaderSize;
    if (length > 125) {
      if (length !== 126 || end - start < 2) return NONE;
      length = ((bytes[position + 2] as number) << 8) | (bytes[position + 3] as number);
      if (length < 126) return NONE; // RFC 6455 5.2
      start += 2;
    }
    if (length > this.wholeUpTo || length > end - start) return NONE;
    this.start = start;
    this.end = input.position = start + length;
    return firstByte === (FIN | BINARY) ? BINARY : TEXT;
  }

  /** @internal After `nextWhole`, which returned `opcode`: fills the other fields but `key`. */
  tell(opcode: typeof TEXT | typeof BINARY): void {
    this.firstByte = FIN | opcode;
    this.first = true;
    this.length = this.end - this.start;
    this.bytes = this.input.bytes;
    this.key = 0;
  }

  /** @internal After `nextWhole` found a text: unmasks it, and returns whether that showed all of it to be ASCII. */
  unmaskText(): boolean {
    if (this.maskBit === 0) return false;
    const { bytes } = this.input;
    return this.applyMask(bytes, this.start, this.end, readKey(bytes, this.start - 4), true) === true;
  }

  /** Unmasks the piece where it lies, if it is masked still. Returns whether that showed all of it to be ASCII, as it may of a text. */
  unmask(isText = false): boolean {
    const { bytes, start, end, key } = this;
    this.key = 0;
    if (key === 0 || start === end) return false;
    return this.applyMask(bytes, start, end, key, isText) === true;
  }

  /**
   * @internal Reads what the chunk has of the payload of a message in one frame: the input's `bytes[start, end)`, masked with `key`. Returns
   * whether the message is over.
   */
  takePart(): boolean {
    const { input, frameKey } = this;
    const { position } = input;
    const end = Math.min(input.end, position + this.missing);
    const count = end - position;
    this.start = position;
    this.end = input.position = end;
    this.key = frameKey;
    this.missing -= count;
    if (this.missing === 0) {
      this.wholeUpTo = this.maxWholeLength;
      return true;
    }
    this.frameKey = rotateKey(frameKey, count);
    return false;
  }

  /** @internal Counts `count` bytes that are a part of the frame's payload, not its last, and are not in the input, as read. */
  payloadFilled(count: number): void {
    this.input.skip(count);
    this.missing -= count;
    this.frameKey = rotateKey(this.frameKey, count);
  }

  /** @internal What comes of the frame's payload is masked with this; 0: it is not masked. */
  get nextKey(): number {
    return this.frameKey;
  }

  /** @internal Opens `gap` for what can show nothing of a header that a chunk's end has cut; false: there is no such. */
  openHeaderGap(gap: Gap): boolean {
    const { headerSize } = this;
    const end = this.headerNeeds - 1;
    if (headerSize === 0 || headerSize >= end) return false;
    gap.open(this.header as Uint8Array, headerSize, end, 0, NO_TEXT);
    return true;
  }

  /** @internal Adds `count` bytes to the header that were written behind it, and are not in the input. */
  headerFilled(count: number): void {
    this.headerSize += count;
    this.input.skip(count);
  }

  /** @internal Lets go of the chunk that the piece is in. */
  letGo(): void {
    this.bytes = NO_BYTES;
  }

  /** `next` for all that is not so simple. */
  nextOfAnyKind(): boolean {
    this.wholeUpTo = -1; // should a kernel throw
    const more = this.readOn();
    const atRest =
      this.missing === 0 &&
      this.headerSize === 0 &&
      (this.table & INSIDE_MESSAGE) === 0 &&
      this.fault === undefined;
    if (atRest) this.wholeUpTo = this.maxWholeLength;
    return more;
  }

  /** @internal Whether there are bytes to read. */
  hasBytes(): boolean {
    const { input } = this;
    if (input.position < input.end || input.advance()) return true;
    this.letGo(); // a quiet connection pins no chunk
    return false;
  }

  private readOn(): boolean {
    if (this.fault !== undefined || !this.hasBytes()) return false;
    const { input } = this;
    if (this.missing > 0) {
      this.first = false;
      return this.nextPiece();
    }

    const size = this.headerSize > 0 ? 0 : this.look(input.bytes, input.position, input.end);
    if (size > 0) {
      input.position += size;
      return this.beginPayload();
    }
    return size < 0 ? this.fail(input.offset + ~size) : this.nextHeaderBytes();
  }

  /** A header that does not lie in one chunk: gathers its bytes one by one. */
  private nextHeaderBytes(): boolean {
    const { input } = this;
    const header = (this.header ??= new Uint8Array(MAX_HEADER_SIZE));
    do {
      header[this.headerSize++] = input.bytes[input.position++] as number;
      if (this.headerSize < this.headerNeeds) continue;
      const size = this.look(header, 0, this.headerSize);
      if (size < 0) return this.fail(input.offset - this.headerSize + ~size);
      if (size > 0) {
        this.headerSize = this.headerNeeds = 0;
        if (!this.beginPayload()) return false;
        if (this.missing === 0) this.unmask(); // its key is not where it would be looked for
        return true;
      }
    } while (input.position < input.end || input.advance());
    this.letGo();
    return false;
  }

  /**
   * Looks at the header that begins at `bytes[at]`, as far as `end` shows it. Returns its size once it is whole and
   * lawful, 0 while it is cut (`headerNeeds` says how much may show more), and the complement of the offending byte's index in it
   * where it breaks a rule.
   */
  private look(bytes: Uint8Array, at: number, end: number): number {
    const firstByte = bytes[at] as number;
    const rule = VERDICTS[FIRST_BYTES[this.table | firstByte] as number];
    if (rule !== undefined) return this.breaks(rule, 0);
    if (at + 2 > end) return this.needs(2);

    const secondByte = bytes[at + 1] as number;
    if ((secondByte & MASK) !== this.maskBit) {
      return this.breaks(this.maskBit === 0 ? "masked-frame" : "unmasked-frame", 1); // RFC 6455 5.1
    }
    let length = secondByte & 0x7f;
    let size = 2;
    const opcode = firstByte & 0x0f;
    if (opcode >= CLOSE) {
      if (length > MAX_CONTROL_PAYLOAD) return this.breaks("long-control", 1); // RFC 6455 5.5
      if (length === 1 && opcode === CLOSE) return this.breaks("close-length", 1); // RFC 6455 5.5.1
    } else {
      if (length === 126) {
        if (at + 4 > end) return this.needs(4);
        length = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
        if (length < 126) return this.breaks("non-minimal-length", 3); // RFC 6455 5.2
        size = 4;
      } else if (length === 127) {
        if (at + 2 < end && (bytes[at + 2] as number) > 0x7f) return this.breaks("length-top-bit", 2); // RFC 6455 5.2
        if (at + 8 <= end && readUint32(bytes, at + 2) === 0 && bytes[at + 6] === 0 && bytes[at + 7] === 0) {
          return this.breaks("non-minimal-length", 7); // RFC 6455 5.2
        }
        if (at + 10 > end) return this.needs(at + 2 === end ? 3 : at + 8 > end ? 8 : 10);
        length = readUint32(bytes, at + 2) * 2 ** 32 + readUint32(bytes, at + 6);
        size = 10;
      }
      // RFC 6455 10.4. A length that a number cannot hold exactly is over any limit.
      if (length > this.maxFrameSize || length > Number.MAX_SAFE_INTEGER)
        return this.breaks("frame-limit", size - 1);
      const begins = opcode !== CONTINUATION;
      const messageSize = begins ? length : this.messageSize + length;
      if (begins) this.coded = (firstByte & RSV1) !== 0;
      const limit = this.coded ? this.maxCodedSize : this.maxMessageSize;
      if (messageSize > limit) return this.breaks("message-limit", size - 1);
      if (this.maskBit !== 0 && at + size + 4 > end) return this.needs(size + 4);
      this.messageSize = messageSize;
    }
    if (this.maskBit !== 0) {
      if (at + size + 4 > end) return this.needs(size + 4);
      this.frameKey = readKey(bytes, at + size);
      size += 4;
    }
    if (opcode < CLOSE) {
      this.table = firstByte >= FIN ? this.table & ~INSIDE_MESSAGE : this.table | INSIDE_MESSAGE;
    }
    this.firstByte = firstByte;
    this.length = length;
    return size;
  }

  /** The header was read: the payload, or what the chunk has of it. */
  private beginPayload(): boolean {
    const input = this.input;
    const length = this.length;
    this.first = true;
    if (length <= input.end - input.position) {
      this.bytes = input.bytes;
      this.start = input.position;
      this.end = input.position += length;
      this.key = this.frameKey;
      if (this.opcode >= CLOSE || !this.leavesMasked) this.unmask();
      return true;
    }
    this.missing = length;
    if (this.opcode >= CLOSE) this.control = new Uint8Array(length);
    return this.nextPiece();
  }

  /** What the chunk has of a payload that does not lie in one chunk. */
  private nextPiece(): boolean {
    if (this.opcode >= CLOSE) return this.nextControlBytes();
    const input = this.input;
    const count = Math.min(this.missing, input.end - input.position);
    this.bytes = input.bytes;
    this.start = input.position;
    this.end = input.position += count;
    this.missing -= count;
    this.key = this.frameKey;
    this.frameKey = rotateKey(this.frameKey, count);
    if (!this.leavesMasked) this.unmask();
    return true;
  }

  /** A control frame's payload that does not lie in one chunk: gathers it in a buffer of its own. */
  private nextControlBytes(): boolean {
    const input = this.input;
    const payload = this.control as Uint8Array;
    do {
      const count = Math.min(this.missing, input.end - input.position);
      payload.set(viewOf(input.bytes, input.position, input.position + count), this.length - this.missing);
      input.position += count;
      this.missing -= count;
    } while (this.missing > 0 && input.advance());
    if (this.missing > 0) {
      this.letGo();
      return false;
    }
    this.control = undefined;
    this.bytes = payload;
    this.start = 0;
    this.end = this.length;
    this.first = true;
    this.key = this.frameKey;
    this.unmask();
    return true;
  }

  private needs(size: number): 0 {
    this.headerNeeds = size;
    return 0;
  }

  private breaks(rule: RuleName, index: number): number {
    this.fault = rule;
    return ~index;
  }

  private fail(offset: number): false {
    this.faultOffset = offset;
    return false;
  }
}

const NO_BYTES = new Uint8Array(0);

function readUint32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) * 2 ** 24 +
    (((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number))
  );
}

// One look at a frame's first byte decides on everything in it: the tables hold a verdict for each of its 256 values,
// in and out of a fragmented message, with RSV1 and without.

/** What a first byte may be: a verdict is an index. */
const VERDICTS = [
  undefined, // lawful
  "reserved-bits",
  "reserved-opcode",
  "fragmented-control",
  "lone-continuation",
  "interleaved-message",
] as const satisfies readonly (RuleName | undefined)[];

const FIRST_BYTES: Uint8Array = /* @__PURE__ */ Uint8Array.from({ length: 0x400 }, (_, index) => {
  const byte = index & 0xff;
  return VERDICTS.indexOf(judgeFirstByte(byte, (index & INSIDE_MESSAGE) !== 0, (index & RSV1_ALLOWED) !== 0));
});

function judgeFirstByte(
  byte: number,
  insideMessage: boolean,
  rsv1Allowed: boolean,
): (typeof VERDICTS)[number] {
  const opcode = byte & 0x0f;
  const control = opcode >= CLOSE;
  // RFC 7692 6: RSV1 belongs to the first frame of a message.
  const allowedBits = rsv1Allowed && !control && opcode !== CONTINUATION ? RSV1 : 0;
  if ((byte & 0x70 & ~allowedBits) !== 0) return "reserved-bits"; // RFC 6455 5.2
  if (opcode > PONG || (opcode > BINARY && !control)) return "reserved-opcode"; // RFC 6455 5.2
  if (control) return byte < FIN ? "fragmented-control" : undefined; // RFC 6455 5.5
  if (opcode === CONTINUATION) return insideMessage ? undefined : "lone-continuation"; // RFC 6455 5.4
  return insideMessage ? "interleaved-message" : undefined; // RFC 6455 5.4
}
