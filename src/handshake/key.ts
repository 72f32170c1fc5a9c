// Sec-WebSocket-Key and Sec-WebSocket-Accept (RFC 6455 4.1, 4.2.2), with the SHA-1 (RFC 3174) and the base64 (RFC 4648)
// that they need, so that the core is complete in engines that have neither.

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
  const text = key + GUID;
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return base64(sha1(bytes));
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export function base64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    // Bytes past the end read as undefined, which the shifts take for 0.
    const group = ((bytes[i] as number) << 16) | ((bytes[i + 1] as number) << 8) | (bytes[i + 2] as number);
    const missing = Math.max(0, i + 3 - bytes.length);
    for (let k = 0; k < 4 - missing; k++) text += ALPHABET.charAt((group >> (18 - 6 * k)) & 0x3f);
    text += "=".repeat(missing);
  }
  return text;
}

export function sha1(message: Uint8Array): Uint8Array {
  const padded = new DataView(new ArrayBuffer((message.length + 8 + 64) & ~63));
  message.forEach((byte, index) => padded.setUint8(index, byte));
  padded.setUint8(message.length, 0x80);
  padded.setUint32(padded.byteLength - 8, Math.floor(message.length / 2 ** 29));
  padded.setUint32(padded.byteLength - 4, message.length << 3);

  const words = new Int32Array(80);
  const hash = [0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476, 0xc3d2e1f0 | 0] as [
    number,
    number,
    number,
    number,
    number,
  ];
  for (let block = 0; block < padded.byteLength; block += 64) {
    let [a, b, c, d, e] = hash;
    for (let t = 0; t < 80; t++) {
      const word =
        t < 16
          ? padded.getInt32(block + 4 * t)
          : rotate(at(words, t - 3) ^ at(words, t - 8) ^ at(words, t - 14) ^ at(words, t - 16), 1);
      words[t] = word;
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
    [a, b, c, d, e].forEach((value, index) => {
      hash[index] = ((hash[index] as number) + value) | 0;
    });
  }
  const digest = new DataView(new ArrayBuffer(20));
  hash.forEach((value, index) => {
    digest.setInt32(4 * index, value);
  });
  return new Uint8Array(digest.buffer);
}

function at(words: Int32Array, index: number): number {
  return words[index] as number;
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
