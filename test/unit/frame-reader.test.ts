import { describe, expect, it } from "vitest";
import type { FrameReaderOptions } from "../../src/index.js";
import { FrameReader } from "../../src/index.js";
import { bytes, concat, frame, toHex } from "../support/wire.js";

interface Piece {
  readonly opcode: number;
  readonly fin: boolean;
  readonly rsv1: boolean;
  readonly length: number;
  readonly payload: string;
}

/** Feeds `wire` in chunks of `size` and joins the pieces of each frame, checking what each piece says of itself. */
function read(
  options: FrameReaderOptions,
  wire: Uint8Array,
  size: number,
  owned: boolean,
): (Piece | string)[] {
  const reader = new FrameReader(options);
  const frames: (Piece | string)[] = [];
  let payload = "";
  for (let at = 0; at < wire.length; at += size) {
    reader.receive(wire.slice(at, at + size), owned);
    for (;;) {
      const isPiece = reader.next();
      if (reader.fault !== undefined) {
        expect([isPiece, reader.next()]).toEqual([false, false]); // and so for ever
        return [...frames, `${reader.fault} at ${reader.faultOffset}`];
      }
      if (!isPiece) break;
      const { opcode, fin, rsv1, length, start, end, first, last, missing, offset } = reader;
      if (first) payload = "";
      reader.unmask(); // what was left masked
      payload += toHex(reader.bytes.subarray(start, end));
      expect(missing).toBe(length - payload.length / 2);
      expect(last).toBe(missing === 0);
      expect(offset + (end - start)).toBe(reader.input.offset);
      if (opcode >= 8) expect([first, last]).toEqual([true, true]);
      if (last) frames.push({ opcode, fin, rsv1, length, payload });
    }
  }
  return frames;
}

describe("with leavesMasked", () => {
  const payloads = ["", "a", "short", "x".repeat(125), "y".repeat(126), "z".repeat(3000)].map((text) =>
    bytes(text),
  );
  const wire = concat([
    ...payloads.map((payload) => frame({ opcode: 2, payload, masked: true })),
    frame({ opcode: 9, payload: bytes("ping"), masked: true }),
  ]);

  it.each([1, 2, 3, 5, 7, 1000, wire.length])(
    "pieces are the same once unmasked, in chunks of %i",
    (size) => {
      for (const owned of [false, true]) {
        const frames = read({ masked: true, leavesMasked: true }, wire, size, owned);
        expect(frames).toEqual(read({ masked: true }, wire, wire.length, owned));
      }
    },
  );

  it.each([5, 125, 126, 70_000])("a frame of %i bytes in one chunk comes with its key", (length) => {
    const payload = new Uint8Array(length).fill(7);
    const reader = new FrameReader({ masked: true, leavesMasked: true });
    reader.receive(frame({ opcode: 2, payload, masked: true }));
    expect(reader.next()).toBe(true);
    expect(reader.key).not.toBe(0);
    expect(reader.bytes.subarray(reader.start, reader.end)).not.toEqual(payload);
    reader.unmask();
    expect(reader.key).toBe(0);
    expect(new Uint8Array(reader.bytes.subarray(reader.start, reader.end))).toEqual(payload);
  });
});

describe("FrameReader by itself", () => {
  for (const masked of [true, false]) {
    const specs = [
      { opcode: 1, fin: false, payload: "one" },
      { opcode: 9, payload: "ping" },
      { opcode: 0, fin: false },
      { opcode: 0, payload: "two" },
      { opcode: 2, payload: new Uint8Array(126).fill(1) },
      { opcode: 10 },
      { opcode: 2, payload: new Uint8Array(300).fill(2) },
      { opcode: 2 },
      { opcode: 9, payload: "x".repeat(125) },
      { opcode: 8, payload: bytes(3, 232, "bye") },
    ];
    const wire = concat(
      specs.map((spec, index) => frame({ ...spec, masked, key: masked ? [index, 2, 255, 128] : [] })),
    );
    const expected = specs.map(({ opcode, fin = true, payload = "" }) => ({
      opcode,
      fin,
      rsv1: false,
      length: payload.length,
      payload: toHex(bytes(payload)),
    }));
    for (const size of [1, 2, 3, 5, 7, 13, 64, 100, 1000]) {
      for (const owned of [true, false]) {
        it(`reads ${masked ? "masked" : "unmasked"} frames in chunks of ${size}${owned ? ", owned" : ""}`, () => {
          expect(read({ masked }, wire, size, owned)).toEqual(expected);
        });
      }
    }
  }

  it("gives an owned chunk's payload where it lies, unmasked in place", () => {
    const reader = new FrameReader({ masked: true });
    const chunk = frame({ opcode: 2, payload: "in place", masked: true });
    reader.receive(chunk, true);
    expect(reader.next()).toBe(true);
    expect(reader.bytes).toBe(chunk);
    expect(Buffer.from(chunk.subarray(reader.start, reader.end)).toString()).toBe("in place");
    expect(reader.next()).toBe(false);
    expect(reader.bytes).toHaveLength(0); // a quiet reader keeps no chunk
  });

  it("says that a payload begins, before it has a byte of it", () => {
    const reader = new FrameReader({ masked: false });
    reader.receive(frame({ opcode: 2, claimedLength: 1000 }));
    expect(reader.next()).toBe(true);
    const { first, last, missing, length, start, end } = reader;
    expect({ first, last, missing, length, size: end - start }).toEqual({
      first: true,
      last: false,
      missing: 1000,
      length: 1000,
      size: 0,
    });
    expect(reader.next()).toBe(false);
  });

  for (const [name, options, wire, expected] of [
    ["7692 6: RSV1 on a text", { rsv1: true }, frame({ opcode: 1, rsv: 4 }), "rsv1"],
    [
      "7692 6: RSV1 on a binary message's first fragment",
      { rsv1: true },
      frame({ opcode: 2, rsv: 4, fin: false }),
      "rsv1",
    ],
    ["7692 6: RSV1 on a ping", { rsv1: true }, frame({ opcode: 9, rsv: 4 }), "reserved-bits at 0"],
    ["7692 6: RSV1 on a Close", { rsv1: true }, frame({ opcode: 8, rsv: 4 }), "reserved-bits at 0"],
    [
      "7692 6: RSV1 on a continuation",
      { rsv1: true },
      concat([frame({ opcode: 1, rsv: 4, fin: false }), frame({ opcode: 0, rsv: 4 })]),
      "reserved-bits at 2",
    ],
    ["5.2: RSV2 beside RSV1", { rsv1: true }, frame({ opcode: 1, rsv: 6 }), "reserved-bits at 0"],
    ["5.2: RSV3 beside RSV1", { rsv1: true }, frame({ opcode: 1, rsv: 5 }), "reserved-bits at 0"],
    ["5.2: RSV1 where it is not allowed", {}, frame({ opcode: 1, rsv: 4 }), "reserved-bits at 0"],
    [
      "10.4: a frame over the limit",
      { maxFrameSize: 3 },
      frame({ opcode: 1, payload: "four" }),
      "frame-limit at 1",
    ],
    [
      "10.4: a message over the limit",
      { maxMessageSize: 3 },
      frame({ opcode: 1, payload: "four" }),
      "message-limit at 1",
    ],
  ] as const) {
    it(name, () => {
      for (const size of [1, 1000]) {
        const frames = read({ masked: false, ...options }, wire, size, false);
        const last = frames.at(-1);
        expect(typeof last === "object" && last.rsv1 ? "rsv1" : last).toBe(expected);
      }
    });
  }
});
