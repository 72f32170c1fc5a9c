// The wire in the plainest way, for cases and for judging what was sent. It uses nothing of what is tested, and nothing but
// ECMAScript: UTF-8 comes from the language's own URI coding.

import type { Role } from "../closing.js";

/** A frame to be received (RFC 6455 5.2); what no implementation may send can be written here. */
export interface FrameSpec {
  readonly opcode: number;
  /** Default true. */
  readonly fin?: boolean;
  /** RSV1, RSV2 and RSV3 as 4, 2 and 1. Default 0. */
  readonly rsv?: number;
  /** A string stands for its UTF-8. Default empty. */
  readonly payload?: string | Uint8Array;
  /** Default: as the receiver's role asks for. */
  readonly masked?: boolean;
  /** The bits of the length's form. Default: the shortest. */
  readonly lengthForm?: 7 | 16 | 64;
  /** The first byte of a length in 64 bits. Default 0. */
  readonly topByte?: number;
}

/** A frame that was sent. */
export interface SentFrame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly masked: boolean;
  /** Unmasked. */
  readonly payload: Uint8Array;
}

export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

const KEY = [0x37, 0xfa, 0x21, 0x3d] as const; // RFC 6455 5.7

/** Frames as the peer of a `role` sends them, one behind the other. */
export function framesTo(role: Role, specs: readonly FrameSpec[]): Uint8Array {
  return join(specs.map((spec) => frameTo(role, spec)));
}

function frameTo(role: Role, spec: FrameSpec): Uint8Array {
  const payload = typeof spec.payload === "string" ? utf8(spec.payload) : (spec.payload ?? new Uint8Array(0));
  const masked = spec.masked ?? role === "server"; // RFC 6455 5.1
  const { length } = payload;
  const form = spec.lengthForm ?? (length < 126 ? 7 : length < 65536 ? 16 : 64);
  const header = [(spec.fin === false ? 0 : 0x80) | ((spec.rsv ?? 0) << 4) | spec.opcode];
  header.push((masked ? 0x80 : 0) | (form === 7 ? length : form === 16 ? 126 : 127));
  if (form === 64) header.push(spec.topByte ?? 0, 0, 0, 0, length >>> 24, (length >>> 16) & 0xff);
  if (form !== 7) header.push((length >>> 8) & 0xff, length & 0xff);
  if (!masked) return join([Uint8Array.from(header), payload]);
  return join([
    Uint8Array.from([...header, ...KEY]),
    payload.map((byte, i) => byte ^ (KEY[i % 4] as number)),
  ]);
}

/** The frames that `bytes` are made of; a string says why they are none. */
export function parseFrames(bytes: Uint8Array): readonly SentFrame[] | string {
  const frames: SentFrame[] = [];
  for (let at = 0; at < bytes.length;) {
    const number = (from: number, count: number): number =>
      bytes.subarray(from, from + count).reduce((value, byte) => value * 256 + byte, 0);
    const [first, second] = [number(at, 1), number(at + 1, 1)];
    const masked = second > 0x7f;
    const short = second & 0x7f;
    const extended = short === 127 ? 8 : short === 126 ? 2 : 0;
    const length = extended === 0 ? short : number(at + 2, extended);
    if (extended > 0 && length < (extended === 2 ? 126 : 65536))
      return "a length is not in its shortest form";
    const keyAt = at + 2 + extended;
    const start = keyAt + (masked ? 4 : 0);
    if (start + length > bytes.length) return "the stream ends inside a frame";
    const payload = bytes
      .slice(start, start + length)
      .map((byte, i) => (masked ? byte ^ number(keyAt + (i % 4), 1) : byte));
    frames.push({ fin: first > 0x7f, rsv: (first >> 4) & 7, opcode: first & 15, masked, payload });
    at = start + length;
  }
  return frames;
}

/** A Close frame's payload (RFC 6455 5.5.1). */
export function closePayload(code: number, reason: string | Uint8Array = ""): Uint8Array {
  return join([Uint8Array.of(code >> 8, code & 0xff), typeof reason === "string" ? utf8(reason) : reason]);
}

export function join(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A byte for each character. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** A character for each byte. */
export function latin1Text(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/** Whole code points alone. */
export function utf8(text: string): Uint8Array {
  const escaped = encodeURIComponent(text).replace(/%(..)/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return latin1(escaped);
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** The text that UTF-8 in hexadecimal stands for. */
export function textOf(hex: string): string {
  return decodeURIComponent(hex.replace(/../g, "%$&"));
}
