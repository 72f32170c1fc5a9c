// Sec-WebSocket-Key and Sec-WebSocket-Accept (RFC 6455 4.1, 4.2.2), with the SHA-1 (RFC 3174) and the base64 (RFC 4648)
// that they need, so that the core is complete in engines that have neither.

import { latin1Bytes } from "./head.js";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 1.3

/** A key for a client's request: 16 bytes of entropy in base64 (RFC 6455 4.1). */
export function createKey(random: () => number): string {
  const nonce = new Uint8Array(16);
  for (let i = 0; i < 16; i += 4) {
    const word = random();
    for (let k = 0; k < 4; k++) nonce[i + k] = word >> (8 * k);
  }
  return base64(nonce);
}

/** Whether `key` is 16 bytes in base64. The last character's unused bits are ignored (erratum 3150: the RFC's own sample has them set). */
export function isKey(key: string): boolean {
  return /^[A-Za-z0-9+/]{22}==$/.test(key);
}

/** The answer to `key` (RFC 6455 4.2.2). */
export function acceptFor(key: string): string {
  return base64(sha1(latin1Bytes(key + GUID)));
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export function base64(bytes: Uint8Array): string {
  const digits: string[] = []; // joined at once: engines keep a string that was added to as its parts
  for (let i = 0; i < bytes.length; i += 3) {
    // Bytes past the end read as undefined, which the shifts take for 0.
    const group = ((bytes[i] as number) << 16) | ((bytes[i + 1] as number) << 8) | (bytes[i + 2] as number);
    const missing = Math.max(0, i + 3 - bytes.length);
    for (let k = 0; k < 4 - missing; k++) digits.push(ALPHABET.charAt((group >> (18 - 6 * k)) & 0x3f));
    if (missing > 0) digits.push("=".repeat(missing));
  }
  return digits.join("");
}

/** SHA-1 (RFC 3174). */
export function sha1(message: Uint8Array): Uint8Array {
  const size = (message.length + 8 + 64) & ~63;
  let h0 = 0x67452301;
  let h1 = 0xefcdab89 | 0;
  let h2 = 0x98badcfe | 0;
  let h3 = 0x10325476;
  let h4 = 0xc3d2e1f0 | 0;
  for (let block = 0; block < size; block += 64) {
    let a = h0;
    let b = h1;
    let c = h2;
    let d = h3;
    let e = h4;
    for (let t = 0; t < 80; t++) {
      const word =
        t < 16
          ? paddedWord(message, block + 4 * t, size)
          : rotate(scheduled(t - 3) ^ scheduled(t - 8) ^ scheduled(t - 14) ^ scheduled(t - 16), 1);
      schedule[t] = word;
      const mixed =
        t < 20
          ? ((b & c) | (~b & d)) + 0x5a827999
          : t < 40
            ? (b ^ c ^ d) + 0x6ed9eba1
            : t < 60
              ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
              : (b ^ c ^ d) + 0xca62c1d6;
      const next = (rotate(a, 5) + mixed + e + word) | 0;
      e = d;
      d = c;
      c = rotate(b, 30);
      b = a;
      a = next;
    }
    h0 = (h0 + a) | 0;
    h1 = (h1 + b) | 0;
    h2 = (h2 + c) | 0;
    h3 = (h3 + d) | 0;
    h4 = (h4 + e) | 0;
  }
  const digest = new Uint8Array(20);
  [h0, h1, h2, h3, h4].forEach((word, index) => {
    for (let k = 0; k < 4; k++) digest[4 * index + k] = word >> (24 - 8 * k);
  });
  return digest;
}

/** RFC 3174 6.1's W, filled anew for each block: allocating it would take longer than the rest. */
const schedule = /* @__PURE__ */ new Int32Array(80);

function scheduled(index: number): number {
  return schedule[index] as number;
}

/** The word at `at` of the message padded to `size` bytes (RFC 3174 4): a bit, zeros, and the length in bits. */
function paddedWord(message: Uint8Array, at: number, size: number): number {
  const { length } = message;
  if (at === size - 8) return Math.floor(length / 2 ** 29);
  if (at === size - 4) return length << 3;
  let word = 0;
  for (let i = at; i < at + 4; i++) {
    word = (word << 8) | (i < length ? (message[i] as number) : i === length ? 0x80 : 0);
  }
  return word;
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
