import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { acceptFor, base64, createKey, isKey, sha1 } from "../../../src/handshake/key.js";
import { SAMPLE_ACCEPT, SAMPLE_KEY } from "../../support/http.js";

/** Bytes that differ from length to length, with high bits set. */
function sample(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 151 + length * 7 + 0x80) & 0xff);
}

describe("sha1 against the platform's (RFC 3174)", () => {
  const lengths = [...Array.from({ length: 201 }, (_, length) => length), 511, 512, 513, 4096, 70_001];
  it.each(lengths)("%i bytes", (length) => {
    const message = sample(length);
    expect(Buffer.from(sha1(message)).toString("hex")).toBe(createHash("sha1").update(message).digest("hex"));
  });

  it("leaves its input as it was, and reads only the view", () => {
    const buffer = sample(100);
    const copy = buffer.slice();
    const view = buffer.subarray(10, 60);
    expect(Buffer.from(sha1(view)).toString("hex")).toBe(createHash("sha1").update(view).digest("hex"));
    expect(buffer).toEqual(copy);
  });
});

describe("base64 against the platform's (RFC 4648 4)", () => {
  it.each(Array.from({ length: 201 }, (_, length) => length))("%i bytes", (length) => {
    const bytes = sample(length);
    expect(base64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
  });

  it("every byte value", () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    expect(base64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
  });
});

describe("Sec-WebSocket-Accept (RFC 6455 4.2.2)", () => {
  it.each([
    ["the sample of RFC 6455 1.3", SAMPLE_KEY, SAMPLE_ACCEPT],
    ["the sample of RFC 6455 4.1 (erratum 3150: unused bits set)", "AQIDBAUGBwgJCgsMDQ4PEC==", undefined],
    ["all zeros", "AAAAAAAAAAAAAAAAAAAAAA==", undefined],
  ])("%s", (_name, key, accept) => {
    const expected = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    expect(acceptFor(key)).toBe(accept ?? expected);
    expect(acceptFor(key)).toBe(expected);
  });
});

describe("Sec-WebSocket-Key (RFC 6455 4.1)", () => {
  it.each([
    ["the sample of RFC 6455 1.3", SAMPLE_KEY, true],
    ["erratum 3150: the last character's unused bits are set", "AQIDBAUGBwgJCgsMDQ4PEC==", true],
    ["plus and slash", "++++++++++++++++//////==", true],
    ["empty", "", false],
    ["no padding", "dGhlIHNhbXBsZSBub25jZQ", false],
    ["half the padding", "dGhlIHNhbXBsZSBub25jZQ=", false],
    ["too much padding", "dGhlIHNhbXBsZSBub25jZQ===", false],
    ["15 bytes", "AAAAAAAAAAAAAAAAAAAA", false],
    ["17 bytes", "AAAAAAAAAAAAAAAAAAAAAAA=", false],
    ["21 characters", "dGhlIHNhbXBsZSBub25jZ==", false],
    ["23 characters", "dGhlIHNhbXBsZSBub25jZQQ==", false],
    ["the URL-safe alphabet", "-_-_-_-_-_-_-_-_-_-_-_==", false],
    ["a space inside", "dGhlIHNhbXBsZSB b25jZQ==", false],
    ["padding inside", "dGhlIHNhbX==ZSBub25jZQ==", false],
    ["a line end after it", "dGhlIHNhbXBsZSBub25jZQ==\n", false],
    ["a letter beyond ASCII", "dGhlIHNhbXBsZSBub25jZ\u00e9==", false],
  ])("%s", (_name, key, valid) => {
    expect(isKey(key)).toBe(valid);
  });

  it("is made of 16 bytes of entropy: four words, lowest byte first", () => {
    const words = [0x03020100, 0x07060504, 0x0b0a0908, 0xfffefdfc | 0];
    const used: number[] = [];
    const key = createKey(() => {
      const word = words[used.length] ?? 0;
      used.push(word);
      return word;
    });
    expect(Buffer.from(key, "base64").toString("hex")).toBe("000102030405060708090a0bfcfdfeff");
    expect(used).toHaveLength(4);
    expect(isKey(key)).toBe(true);
  });
});
