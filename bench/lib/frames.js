// Payloads, frames and streams of them (RFC 6455 5.2), written here so that no implementation is tested by itself.

export const SIZES = { 0: 0, 16: 16, 125: 125, "1K": 1024, "16K": 16384, "64K": 65536, "1M": 1048576 };

/** @param {string} text "16", "1K" or "1M" */
export function parseSize(text) {
  const match = /^(\d+)([KM]?)$/.exec(text);
  if (match === null) throw new Error(`a size is a number with K, M or nothing behind it, not ${text}`);
  return Number(match[1]) * { "": 1, K: 1024, M: 1048576 }[match[2]];
}

export function formatSize(size) {
  if (size > 0 && size % 1048576 === 0) return `${size / 1048576}M`;
  if (size > 0 && size % 1024 === 0) return `${size / 1024}K`;
  return String(size);
}

/** A small generator of numbers that are the same on every run and runtime (mulberry32). */
export function generator(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), 1 | state);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return (z ^ (z >>> 14)) >>> 0;
  };
}

const CHINESE = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜";

/**
 * A payload of `size` bytes.
 * @param {"binary" | "ascii" | "chinese"} kind text in UTF-8 for the last two; where a size is no multiple of three, the
 * Chinese one is filled up with spaces
 */
export function makePayload(kind, size, seed) {
  const next = generator(seed);
  const payload = new Uint8Array(size);
  if (kind === "binary") {
    for (let i = 0; i < size; i++) payload[i] = next();
  } else if (kind === "ascii") {
    for (let i = 0; i < size; i++) payload[i] = 0x20 + (next() % 95);
  } else {
    const characters = [...CHINESE].map((character) => new TextEncoder().encode(character));
    let at = 0;
    for (; at + 3 <= size; at += 3) payload.set(characters[next() % characters.length], at);
    payload.fill(0x20, at);
  }
  return payload;
}

export const TEXT = 1;
export const BINARY = 2;
export const PING = 9;
export const PONG = 10;

/** @param {number | undefined} key the masking key as 32 bits, its first byte the lowest; undefined: unmasked */
export function makeFrame(opcode, payload, { fin = true, key } = {}) {
  const size = payload.length;
  const extended = size < 126 ? 0 : size < 65536 ? 2 : 8;
  const start = 2 + extended + (key === undefined ? 0 : 4);
  const frame = new Uint8Array(start + size);
  const view = new DataView(frame.buffer);
  frame[0] = (fin ? 0x80 : 0) | opcode;
  frame[1] = (key === undefined ? 0 : 0x80) | (extended === 0 ? size : extended === 2 ? 126 : 127);
  if (extended === 2) view.setUint16(2, size);
  if (extended === 8) view.setBigUint64(2, BigInt(size));
  frame.set(payload, start);
  if (key !== undefined) {
    view.setUint32(start - 4, key, true);
    for (let i = 0; i < size; i++) frame[start + i] ^= key >>> (8 * (i & 3));
  }
  return frame;
}

/** The frames that `bytes` is made of, unmasked; throws where it is not made of frames. */
export function readFrames(bytes) {
  const frames = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at];
    const masked = (bytes[at + 1] & 0x80) !== 0;
    let length = bytes[at + 1] & 0x7f;
    at += 2;
    if (length === 126) {
      length = view.getUint16(at);
      at += 2;
    } else if (length === 127) {
      length = Number(view.getBigUint64(at));
      at += 8;
    }
    const key = masked ? bytes.subarray(at, at + 4) : undefined;
    if (masked) at += 4;
    if (at + length > bytes.length) throw new Error("the last frame is cut");
    const payload = bytes.slice(at, at + length);
    if (key !== undefined) for (let i = 0; i < length; i++) payload[i] ^= key[i & 3];
    at += length;
    frames.push({ fin: first >= 0x80, rsv1: (first & 0x40) !== 0, opcode: first & 0x0f, masked, payload });
  }
  return frames;
}

export function concat(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function equal(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
