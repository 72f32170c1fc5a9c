import { describe, expect, it } from "vitest";
import { longMask } from "../../src/adapters/longs.js";
import { simdMask } from "../../src/adapters/simd.js";
import { handedOver } from "../../src/bytes/assembly.js";
import { portableUtf8 } from "../../src/bytes/utf8.js";
import { keepKnown, knownOf } from "../../src/bytes/view.js";
import { mask } from "../../src/frame/masking.js";
import type { Connection, Options, Role } from "../../src/index.js";
import { ServerConnection } from "../../src/index.js";
import { framesFromPeer, fromPeer, opened, repeatable, ROLES, takeFrames } from "../support/opened.js";
import { reachableBytes } from "../support/snapshot.js";
import type { FrameSpec } from "../support/wire.js";
import { bytes, concat, pull } from "../support/wire.js";

/** What a connection may keep besides what was received. */
const OVERHEAD = 8 * 1024;

/** No message is delivered whole that is longer, whatever the limit. */
const LONGEST = 2 ** 29 - 24;

const MODES: readonly Options[] = [
  {},
  { text: "bytes" },
  { streaming: true },
  { streaming: true, text: "bytes" },
];
const nameOf = ({ text = "string", streaming = false }: Options): string =>
  `text: ${text}${streaming ? ", streaming" : ""}`;

function feed(connection: Connection, data: Uint8Array): number {
  connection.receive(data);
  return pull(connection).length;
}

/** The largest memory that `connection` reaches while it is fed. */
function peakOf(connection: Connection, chunks: Iterable<Uint8Array>, look = 997): number {
  let peak = 0;
  let count = 0;
  for (const chunk of chunks) {
    feed(connection, chunk);
    if (count++ % look === 0) peak = Math.max(peak, reachableBytes(connection));
  }
  return Math.max(peak, reachableBytes(connection));
}

const repeat = (chunk: Uint8Array, count: number): Uint8Array[] => Array.from({ length: count }, () => chunk);

it("of messages that were handed over one of up to 2 MiB is kept, until the next", () => {
  const MIB = 2 ** 20;
  handedOver.reserve(2 * MIB + 1);
  expect(reachableBytes(handedOver)).toBeLessThan(2 * MIB);
  for (const size of [2 * MIB, MIB, 3 * MIB]) handedOver.reserve(size);
  expect(reachableBytes(handedOver)).toBeGreaterThan(MIB);
  expect(reachableBytes(handedOver)).toBeLessThan(MIB + 100_000);
});

for (const role of ROLES) {
  describe(`the memory of a ${role}`, () => {
    it("a piece of a message pins its chunk where it is a fifth of it, or more; what is less is copied", () => {
      const chunkSize = 65_536;
      const size = chunkSize / 4;
      const message = fromPeer(role, { opcode: 2, payload: new Uint8Array(size) });
      const header = message.length - size;
      for (const piece of [13_107, 13_108, size - header]) {
        const connection = opened(role);
        const before = new Uint8Array(chunkSize - 2 * header - piece);
        const wire = concat([fromPeer(role, { opcode: 2, payload: before }), message]);
        const chunk = wire.slice(0, chunkSize);
        connection.receive(chunk, true);
        expect(pull(connection)).toHaveLength(1);
        expect(reachableBytes(connection) > chunkSize).toBe(piece >= chunkSize / 5);
        connection.receive(wire.slice(chunkSize), true);
        expect(pull(connection)).toMatchObject([{ type: "binary", size }]);
      }
    });

    for (const mode of MODES) {
      describe(nameOf(mode), () => {
        for (const opcode of [1, 2]) {
          for (const claimedLength of mode.streaming === true
            ? [1_000_000, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER]
            : [1_000_000, 2 ** 28, LONGEST]) {
            it(`10.4: a length of ${claimedLength} claimed by opcode ${opcode} allocates nothing`, () => {
              const connection = opened(role, { ...mode, limits: { message: Infinity } });
              const payload = " ".repeat(3100);
              const wire = fromPeer(role, { opcode, claimedLength, payload });
              const header = wire.length - payload.length;
              feed(connection, wire.slice(0, header));
              expect(connection.state).toBe("open");
              expect(reachableBytes(connection)).toBeLessThan(OVERHEAD);
              // With a few bytes there, it is in proportion to these.
              feed(connection, wire.slice(header, header + 100));
              feed(connection, wire.slice(header + 100));
              expect(connection.state).toBe("open");
              expect(reachableBytes(connection)).toBeLessThan(OVERHEAD + 3 * payload.length);
            });
          }

          it(`10.4: so does a claim in a last fragment, opcode ${opcode}`, () => {
            const connection = opened(role, { ...mode, limits: { message: Infinity } });
            feed(connection, fromPeer(role, { opcode, fin: false, payload: "begun" }));
            feed(connection, fromPeer(role, { opcode: 0, claimedLength: LONGEST - 5, payload: "ab" }));
            expect(connection.state).toBe("open");
            expect(reachableBytes(connection)).toBeLessThan(OVERHEAD);
          });

          it(`5.4: 5000 fragments of one byte, opcode ${opcode}`, () => {
            const connection = opened(role, mode);
            feed(connection, fromPeer(role, { opcode, fin: false, payload: "x" }));
            const peak = peakOf(
              connection,
              repeat(fromPeer(role, { opcode: 0, fin: false, payload: "y" }), 5_000),
            );
            expect(peak).toBeLessThan(OVERHEAD + (mode.streaming === true ? 0 : 3 * 5_000));
            expect(feed(connection, fromPeer(role, { opcode: 0, payload: "z" }))).toBe(1);
          });

          it(`5.4: 5000 empty fragments, opcode ${opcode}`, () => {
            const connection = opened(role, mode);
            feed(connection, fromPeer(role, { opcode, fin: false }));
            const peak = peakOf(connection, repeat(fromPeer(role, { opcode: 0, fin: false }), 5_000));
            expect(peak).toBeLessThan(OVERHEAD);
            expect(feed(connection, fromPeer(role, { opcode: 0 }))).toBe(1);
          });

          it(`fragments of 600 bytes and of one in turns, opcode ${opcode}`, () => {
            const connection = opened(role, mode);
            feed(connection, fromPeer(role, { opcode, fin: false }));
            const large = fromPeer(role, { opcode: 0, fin: false, payload: "v".repeat(600) });
            const small = fromPeer(role, { opcode: 0, fin: false, payload: "u" });
            const peak = peakOf(connection, repeat(concat([large, small]), 500), 97);
            expect(peak).toBeLessThan(OVERHEAD + (mode.streaming === true ? 0 : 3 * 601 * 500));
          });

          // Pieces are held where they are, or copied into one array that grows, or into several: by their sizes, and the frame's.
          for (const [size, chunk] of [
            [1_000_000, 1460],
            [1_000_000, 200],
            [65_000, 1460],
            [65_000, 200],
          ] as const) {
            it(`a frame of ${size} bytes in chunks of ${chunk}: it keeps in proportion to what arrived, opcode ${opcode}`, () => {
              const connection = opened(role, mode);
              const wire = fromPeer(role, { opcode, payload: "w".repeat(size) });
              for (let at = 0, looked = 0; at < wire.length - chunk;) {
                feed(connection, wire.slice(at, (at += chunk)));
                if (at < looked * 1.1) continue;
                looked = at;
                expect(reachableBytes(connection)).toBeLessThan(
                  OVERHEAD + (mode.streaming === true ? 0 : 3 * at),
                );
              }
            });
          }

          it(`a frame of 20000 bytes that comes byte by byte, opcode ${opcode}`, () => {
            const connection = opened(role, mode);
            const wire = fromPeer(role, { opcode, payload: "w".repeat(20_000) });
            const peak = peakOf(
              connection,
              Array.from(wire.subarray(0, -1), (byte) => bytes(byte)),
            );
            expect(peak).toBeLessThan(OVERHEAD + (mode.streaming === true ? 0 : 3 * 20_000));
            expect(feed(connection, wire.slice(-1))).toBe(1);
            expect(reachableBytes(connection)).toBeLessThan(OVERHEAD);
          });
        }

        it("a header or a control frame that is cut keeps nothing of the chunk before it", () => {
          for (const [opcode, next, missing] of [
            [1, { opcode: 2 }, role === "server" ? 5 : 1],
            [2, { opcode: 2 }, role === "server" ? 5 : 1],
            [9, { opcode: 2 }, role === "server" ? 5 : 1],
            [9, { opcode: 9, payload: "cut" }, 1],
          ] as const) {
            const frames = framesFromPeer(role, [{ opcode, payload: "before" }, next]);
            const chunk = new Uint8Array(65_536);
            chunk.set(frames);
            const cut = frames.length - missing;
            const connection = opened(role, mode);
            connection.receive(chunk.subarray(0, cut), true);
            expect(pull(connection)).toHaveLength(1);
            takeFrames(connection);
            expect(reachableBytes(connection)).toBeLessThan(OVERHEAD);
          }
        });

        it("messages that were told are not kept", () => {
          const connection = opened(role, mode);
          const messages: FrameSpec[][] = [
            [{ opcode: 2, payload: new Uint8Array(60_000) }],
            [{ opcode: 1, payload: "t".repeat(60_000) }],
            [
              { opcode: 1, fin: false, payload: "t".repeat(30_000) },
              { opcode: 0, payload: "t".repeat(30_000) },
            ],
          ];
          for (const frames of messages) {
            for (const spec of frames) feed(connection, fromPeer(role, spec));
            expect(reachableBytes(connection)).toBeLessThan(OVERHEAD);
          }
        });
      });
    }

    it("10.4: no message is delivered whole that is longer than any string can be, with no limit either", () => {
      const options = { limits: { message: Infinity } };
      for (const [streaming, claimedLength, state] of [
        [false, LONGEST, "open"],
        [false, LONGEST + 1, "closing"],
        [true, LONGEST + 1, "open"],
      ] as const) {
        const connection = opened(role, { ...options, streaming });
        const events = feed(connection, fromPeer(role, { opcode: 2, claimedLength }));
        expect([events, connection.state]).toEqual([state === "open" ? 0 : 1, state]);
      }
    });

    it("5.5.3: 5000 pings with output that is stuck", () => {
      const connection = opened(role);
      const peak = peakOf(
        connection,
        repeat(fromPeer(role, { opcode: 9, payload: new Uint8Array(125) }), 5_000),
      );
      // The pongs stand in a buffer that connections share.
      expect(peak).toBeLessThan(64 * 1024);
      expect(connection.outputSize).toBeLessThanOrEqual(65 * 131);
      expect(takeFrames(connection)).toHaveLength(65);
    });

    it("5000 pings of our own that nobody answers", () => {
      const connection = opened(role);
      for (let i = 0; i < 5_000; i++) {
        connection.ping(bytes(i & 0xff));
        connection.takeOutput();
      }
      expect(reachableBytes(connection)).toBeLessThan(OVERHEAD);
    });

    it("5000 pongs that nobody asked for", () => {
      const connection = opened(role);
      expect(peakOf(connection, repeat(fromPeer(role, { opcode: 10, payload: "x" }), 5_000))).toBeLessThan(
        OVERHEAD,
      );
    });

    it("bytes that nobody pulls are stored once, and stop the peer", () => {
      const connection = opened(role);
      const wire = fromPeer(role, { opcode: 2, payload: new Uint8Array(100) });
      let received = 0;
      for (; connection.wantsInput; received += wire.length)
        for (const byte of wire) connection.receive(bytes(byte));
      expect(received).toBeGreaterThanOrEqual(65_536);
      expect(received).toBeLessThan(65_536 + wire.length);
      expect(reachableBytes(connection)).toBeLessThan(OVERHEAD + 1.5 * received);
      expect(connection.nextEvent()).toMatchObject({ type: "binary" });
      expect(connection.wantsInput).toBe(true);
    });

    it("what is discarded is not kept, nor are the parts of a message that is dropped", () => {
      const connection = opened(role, { halfClose: true });
      feed(connection, fromPeer(role, { opcode: 2, fin: false, payload: new Uint8Array(20_000) }));
      feed(connection, concat([fromPeer(role, { opcode: 8 }), new Uint8Array(20_000)]));
      takeFrames(connection);
      expect(connection.wantsInput).toBe(true);
      const peak = peakOf(connection, repeat(new Uint8Array(10_000), 100), 10);
      expect(peak).toBeLessThan(OVERHEAD);
    });

    it("is small while it is open and idle", () => {
      expect(reachableBytes(opened(role))).toBeLessThan(1500);
    });
  });

  describe(`the work of a ${role}`, () => {
    /** How many bytes pass through masking and decoding for a message of `size` bytes in bits of `bit` bytes. */
    function work(kind: Role, size: number, bit: number, asFragments: boolean, mode: Options): number {
      let count = 0;
      const connection = opened(kind, {
        ...mode,
        platform: {
          random: repeatable(),
          mask: (data, start, end, key) => {
            count += end - start + 1;
            return mask(data, start, end, key);
          },
          utf8: {
            ...portableUtf8,
            decode: (data, start, end) => {
              count += end - start + 1;
              return portableUtf8.decode(data, start, end);
            },
          },
        },
      });
      const payload = "v".repeat(size);
      if (!asFragments) {
        const wire = fromPeer(kind, { opcode: 1, payload });
        for (let at = 0; at < wire.length; at += bit) feed(connection, wire.slice(at, at + bit));
        return count;
      }
      feed(connection, fromPeer(kind, { opcode: 1, fin: false }));
      for (let at = 0; at < size; at += bit)
        feed(connection, fromPeer(kind, { opcode: 0, fin: false, payload: payload.slice(at, at + bit) }));
      expect(feed(connection, fromPeer(kind, { opcode: 0 }))).toBe(1);
      return count;
    }

    for (const mode of MODES) {
      for (const asFragments of [true, false]) {
        it(`grows with the bytes alone, one byte in a ${asFragments ? "fragment" : "chunk"}, ${nameOf(mode)}`, () => {
          // No byte is masked or decoded more than once, however it came: at most one more is counted for each call.
          for (const size of [1_000, 10_000])
            expect(work(role, size, 1, asFragments, mode)).toBeLessThanOrEqual(size * 4 + 100);
        });
      }
    }
  });
}

describe("an open connection that is quiet", () => {
  it("pins no chunk: not the handshake's, nor the last message's", () => {
    const server = new ServerConnection();
    const chunk = new Uint8Array(65_536);
    const request =
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    chunk.set(bytes(request));
    server.receive(chunk.subarray(0, request.length), true);
    expect(pull(server)).toHaveLength(1);
    server.accept();
    expect(pull(server)).toHaveLength(1);
    server.takeOutput();
    expect(reachableBytes(server)).toBeLessThan(OVERHEAD);
    const frame = fromPeer("server", { opcode: 2, payload: "x" });
    chunk.set(frame);
    server.receive(chunk.subarray(0, frame.length), true);
    expect(pull(server)).toHaveLength(1);
    expect(reachableBytes(server)).toBeLessThan(OVERHEAD);
  });

  it("pins nothing that a message was gathered in, where the next one has begun", () => {
    const server = opened("server");
    const wire = fromPeer("server", { opcode: 1, payload: "x".repeat(33_000) });
    const cut = wire.length - 250;
    for (let at = 0; at < cut; at += 250) feed(server, wire.slice(at, Math.min(at + 250, cut)));
    feed(server, wire.slice(cut, -240)); // few bytes, for which there is a gap
    expect(reachableBytes(server)).toBeGreaterThan(33_000);
    const beginning = fromPeer("server", { opcode: 2, payload: "", fin: false });
    expect(feed(server, concat([wire.subarray(-240), beginning]))).toBe(1);
    expect(reachableBytes(server)).toBeLessThan(OVERHEAD);
  });
});

describe("a message that does not go on", () => {
  for (const role of ROLES) {
    for (const opcode of [1, 2]) {
      // Few enough to be copied anyhow, and so many that only their buffer's size speaks against keeping them where they are.
      for (const count of [10, 300]) {
        it(`pins no chunk that ${count} of its bytes came in, ${opcode === 1 ? "a text" : "binary"}, to a ${role}`, () => {
          const connection = opened(role);
          const wire = fromPeer(role, { opcode, payload: "x".repeat(count * 30) });
          for (let at = 0; at < count * 20; at += count) {
            const chunk = new Uint8Array(65_536);
            chunk.set(wire.subarray(at, at + count));
            connection.receive(chunk.subarray(0, count), true);
            expect(pull(connection)).toEqual([]);
            expect(reachableBytes(connection)).toBeLessThan(OVERHEAD + 3 * at);
          }
        });
      }
    }
  }
});

describe("what is known of arrays", () => {
  it("pins no buffer over 2 MiB, and nothing of which a short message was a part", () => {
    for (const array of [
      new Uint8Array(3_000_000),
      new Uint8Array(3_000_000).subarray(0, 100),
      new Uint8Array(60),
    ]) {
      mask(array, 0, 30, 1);
      expect(knownOf(array)).not.toBe(knownOf(array));
    }
  });

  it("is kept of the last two", () => {
    const [a, b, c] = [new Uint8Array(100), new Uint8Array(100), new Uint8Array(100)];
    const [first, second] = [knownOf(a), knownOf(b)];
    expect([knownOf(a), knownOf(b), knownOf(a)]).toEqual([first, second, first]);
    expect(knownOf(b)).toBe(second);
    knownOf(c);
    expect(knownOf(a)).not.toBe(first);
  });

  it("is kept of the one that is to be kept, too", () => {
    const [a, b] = [new Uint8Array(100), new Uint8Array(100)];
    const [c, slab] = [new Uint8Array(100), new Uint8Array(100)];
    keepKnown(slab);
    const known = knownOf(slab);
    const first = knownOf(a);
    for (const array of [b, slab, a, b, slab]) knownOf(array);
    expect(knownOf(a)).toBe(first);
    knownOf(c);
    expect(knownOf(slab)).toBe(known);
    keepKnown(new Uint8Array(100));
    expect(knownOf(slab)).not.toBe(known);
  });
});

describe("a chunk whose buffer the application has transferred", () => {
  it("takes its bytes with it, and nothing throws", () => {
    const server = opened("server");
    const first = fromPeer("server", { opcode: 2, payload: new Uint8Array(600).fill(1) });
    const second = fromPeer("server", { opcode: 2, payload: new Uint8Array(900).fill(2) });
    const wire = concat([first, second]);
    server.receive(wire.slice(0, first.length + 700), true);
    const event = server.nextEvent();
    expect(server.nextEvent()).toBeUndefined();
    if (event?.type !== "binary") throw new Error("no message");
    structuredClone(event.payload, { transfer: [event.payload.buffer as ArrayBuffer] });
    server.receive(wire.slice(first.length + 700), true);
    const [last] = pull(server);
    expect(last).toMatchObject({ type: "binary" });
  });

  it.each(ROLES)("takes those of a text with it that is gathered by a %s", (role) => {
    const payload = new Uint8Array(1000).fill(0x61);
    const wire = fromPeer(role, { opcode: 1, payload });
    const head = wire.length - payload.length;
    for (const size of [1, 20, 50, 200, 600]) {
      const connection = opened(role);
      connection.receive(wire.slice(0, head + 1), true);
      expect(connection.nextEvent()).toBeUndefined();
      const chunk = wire.slice(head + 1, head + 1 + size);
      connection.receive(chunk, true);
      structuredClone(chunk, { transfer: [chunk.buffer] });
      expect(() => pull(connection)).not.toThrow();
    }
  });

  it.each([
    ["the portable kernel", mask],
    ["the SIMD kernel", simdMask],
    ["the kernel for V8", longMask],
  ])("is left alone by %s", (_, kernel) => {
    for (const length of [3, 20, 100, 2000]) {
      // How often it was asked for before decides on the views that there are of it.
      for (const before of [0, 1, 3]) {
        const view = new Uint8Array(2000);
        for (let round = 0; round < before; round++) kernel(view, 0, length, 0x0a0b0c0d);
        structuredClone(view, { transfer: [view.buffer] });
        expect(() => kernel(view, 0, length, 0x0a0b0c0d)).not.toThrow();
      }
    }
  });
});
