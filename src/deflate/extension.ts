import type { MessageCoding, MessageDecoder, MessageEncoder } from "../coding.js";
import { UsageError } from "../errors.js";
import type { Accepted, Extension, ExtensionParameter } from "../handshake/extensions.js";
import type { Platform } from "../platform.js";
import type { DeflateCodec, Deflator, Inflator } from "./codec.js";
import type { DeflateDirection, DeflateNegotiationOptions, DeflateParameters } from "./negotiation.js";
import {
  acceptDeflate,
  confirmDeflate,
  deflateDirections,
  offerDeflate,
  PERMESSAGE_DEFLATE,
  wantedDeflate,
} from "./negotiation.js";
import { portableDeflate } from "./portable.js";

/** What to agree on, and what to compress. */
export interface DeflateOptions extends DeflateNegotiationOptions {
  /** Messages with a payload shorter than this, in bytes, are sent as they are. Default 128. */
  readonly threshold?: number | undefined;
  /** So are those that are longer than this: a synchronous codec must not block for long. Default 1 MiB. */
  readonly largest?: number | undefined;
  /** 1, fastest, to 9, smallest, as zlib counts. Default 5: nearly as small as 6, and faster. */
  readonly level?: number | undefined;
}

/**
 * The extension permessage-deflate (RFC 7692), to be listed in a connection's `extensions`. It uses the platform's codec, or the portable
 * one where the platform has none.
 * @throws {UsageError} "bad-option"
 */
export function permessageDeflate(options: DeflateOptions = {}): Extension {
  return new PermessageDeflate(options);
}

class PermessageDeflate implements Extension {
  readonly name: string = PERMESSAGE_DEFLATE;
  private readonly wantedOfServer: DeflateParameters;
  private readonly offers: readonly (readonly ExtensionParameter[])[];
  private readonly limits: Limits;
  /** One for each set of parameters that was agreed on. */
  private readonly codings: Coding[] = [];

  constructor(options: DeflateOptions) {
    this.wantedOfServer = wantedDeflate("server", options);
    this.offers = offerDeflate(wantedDeflate("client", options));
    this.limits = {
      threshold: bytes("threshold", options.threshold, 128),
      largest: bytes("largest", options.largest, 1024 * 1024),
      level: level(options.level),
    };
  }

  offer(): readonly (readonly ExtensionParameter[])[] {
    return this.offers;
  }

  accept(offer: readonly ExtensionParameter[], platform: Platform): Accepted | undefined {
    const accepted = acceptDeflate(offer, this.wantedOfServer);
    if (accepted === undefined) return undefined;
    return { parameters: accepted.answer, coding: this.coding("server", accepted.agreed, platform) };
  }

  confirm(answer: readonly ExtensionParameter[], platform: Platform): Accepted | undefined {
    const agreed = confirmDeflate(answer, this.offers);
    if (agreed === undefined) return undefined;
    return { parameters: answer, coding: this.coding("client", agreed, platform) };
  }

  private coding(role: "client" | "server", agreed: DeflateParameters, platform: Platform): Coding {
    const codec = platform.deflate ?? portableDeflate;
    const { send, receive } = deflateDirections(role, agreed);
    let coding = this.codings.find((one) => one.isFor(codec, send, receive));
    if (coding === undefined) {
      const alike = this.codings.find((one) => one.sendsAs(codec, send));
      coding = new Coding(codec, send, receive, this.limits, alike?.form ?? {});
      this.codings.push(coding);
    }
    return coding;
  }
}

interface Limits {
  readonly threshold: number;
  readonly largest: number;
  readonly level: number;
}

/** What connections share that agreed on the same parameters: where no context is taken over, the codecs, too. */
class Coding implements MessageCoding {
  readonly form: object;
  readonly send: DeflateDirection;
  readonly receive: DeflateDirection;
  private readonly codec: DeflateCodec;
  private readonly limits: Limits;
  /** Codecs that stand between two messages, with nothing taken over. */
  private readonly deflators: Deflator[] = [];
  private readonly inflators: Inflator[] = [];

  constructor(
    codec: DeflateCodec,
    send: DeflateDirection,
    receive: DeflateDirection,
    limits: Limits,
    form: object,
  ) {
    this.form = form;
    this.codec = codec;
    this.send = send;
    this.receive = receive;
    this.limits = limits;
  }

  isFor(codec: DeflateCodec, send: DeflateDirection, receive: DeflateDirection): boolean {
    return this.codec === codec && isSame(this.send, send) && isSame(this.receive, receive);
  }

  /** Whether it compresses as these do, as far as nothing was sent before. */
  sendsAs(codec: DeflateCodec, send: DeflateDirection): boolean {
    return this.codec === codec && this.send.windowBits === send.windowBits;
  }

  codes(size: number): boolean {
    return size >= this.limits.threshold && size <= this.limits.largest;
  }

  createEncoder(): MessageEncoder {
    return new Encoder(this);
  }

  createDecoder(): MessageDecoder {
    return new Decoder(this);
  }

  takeDeflator(): Deflator {
    return this.deflators.pop() ?? this.codec.deflator(this.send.windowBits, this.limits.level);
  }

  giveDeflator(deflator: Deflator): void {
    deflator.reset();
    if (this.deflators.length < MOST_IDLE) this.deflators.push(deflator);
    else deflator.release();
  }

  takeInflator(): Inflator {
    return this.inflators.pop() ?? this.codec.inflator(this.receive.windowBits);
  }

  giveInflator(inflator: Inflator): void {
    inflator.reset();
    if (this.inflators.length < MOST_IDLE) this.inflators.push(inflator);
    else inflator.release();
  }
}

function isSame(one: DeflateDirection, other: DeflateDirection): boolean {
  return one.windowBits === other.windowBits && one.contextTakeover === other.contextTakeover;
}

/** As nothing else runs while a whole message is coded, few are enough; cut messages take further ones. */
const MOST_IDLE = 4;

/** Compresses what one connection sends (RFC 7692 7.2.1). */
class Encoder implements MessageEncoder {
  private readonly coding: Coding;
  /** There while a window is to be kept. */
  private deflator: Deflator | undefined;

  constructor(coding: Coding) {
    this.coding = coding;
  }

  encode(part: Uint8Array, last: boolean): Uint8Array {
    const deflator = (this.deflator ??= this.coding.takeDeflator());
    deflator.push(part, 0, part.length, true);
    let target = deflated;
    let size = deflator.pull(target, 0, target.length);
    while (size === target.length) {
      const larger = new Uint8Array(target.length * 2);
      larger.set(target);
      target = larger;
      size = deflator.pull(target, size, target.length);
    }
    if (!last) return target.subarray(0, size);
    if (!this.coding.send.contextTakeover) this.forget();
    // RFC 7692 7.2.1: the four bytes of the flush are left out. Where nothing was to be flushed, an empty block (7.2.3.6).
    if (size > TAIL_SIZE) return target.subarray(0, size - TAIL_SIZE);
    deflated[0] = 0;
    return deflated.subarray(0, 1);
  }

  forget(): void {
    if (this.deflator === undefined) return;
    this.coding.giveDeflator(this.deflator);
    this.deflator = undefined;
  }

  release(): void {
    if (this.coding.send.contextTakeover) this.deflator?.release();
    else this.forget();
    this.deflator = undefined;
  }
}

const TAIL_SIZE = 4;
const deflated = /* @__PURE__ */ new Uint8Array(65536);

/** Decompresses what one connection receives (RFC 7692 7.2.2). */
class Decoder implements MessageDecoder {
  private readonly coding: Coding;
  /** There inside of a message, and while a window is to be kept. */
  private inflator: Inflator | undefined;

  constructor(coding: Coding) {
    this.coding = coding;
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    this.inflator ??= this.coding.takeInflator();
    this.inflator.push(bytes, start, end);
  }

  pull(target: Uint8Array, start: number, end: number): number {
    return this.inflator === undefined ? start : this.inflator.pull(target, start, end);
  }

  end(): boolean {
    const whole = this.inflator?.end() === true;
    if (!this.coding.receive.contextTakeover) this.giveBack();
    return whole;
  }

  release(): void {
    if (this.coding.receive.contextTakeover) this.inflator?.release();
    else this.giveBack();
    this.inflator = undefined;
  }

  private giveBack(): void {
    if (this.inflator !== undefined) this.coding.giveInflator(this.inflator);
    this.inflator = undefined;
  }
}

function bytes(name: string, value: number | undefined, byDefault: number): number {
  if (value === undefined) return byDefault;
  if (typeof value === "number" && value >= 0) return value;
  throw new UsageError(
    "bad-option",
    `${name} must be a number of bytes from 0 to Infinity, not ${String(value)}`,
  );
}

function level(value = 5): number {
  if (Number.isInteger(value) && value >= 1 && value <= 9) return value;
  throw new UsageError("bad-option", `level must be a whole number from 1 to 9, not ${String(value)}`);
}
