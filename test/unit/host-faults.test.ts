import { describe, expect, it, vi } from "vitest";

import { checkUtf8 } from "../../src/bytes/utf8.js";
import { maskInto } from "../../src/frame/masking.js";
import type { DeflateCodec, Platform } from "../../src/index.js";
import {
  Connection,
  FrameReader,
  FrameWriter,
  mask,
  portableDeflate,
  portableUtf8,
  Settings,
} from "../../src/index.js";
import { CODECS, both, TAKEOVER } from "../support/deflated.js";
import { framesFromPeer, fromPeer, opened, repeatable, ROLES, takeFrames } from "../support/opened.js";
import { bytes, pull, summarize, takeAll } from "../support/wire.js";

// What a platform hands in and that throws is the host's fault. What was to be masked is not sent then, and may be sent again; what was to be
// read is not lost, or else the connection fails.

/** Entropy that fails once, when it is told to. */
class Failing {
  fails = false;
  private readonly draw = repeatable();

  readonly random = (): number => {
    if (!this.fails) return this.draw();
    this.fails = false;
    throw new Error("no entropy");
  };

  /** Has `act` fail for want of entropy. */
  during(act: () => unknown): void {
    this.fails = true;
    expect(act).toThrow("no entropy");
  }
}

describe("a `clock` that throws once", () => {
  for (const role of ROLES) {
    for (const [where, cut] of [
      ["inside a header", 2],
      ["inside a payload", 20],
    ] as const) {
      it(`takes nothing ${where} of a ${role}: the bytes may be received again`, () => {
        let fails = false;
        const clock = (): number => {
          if (!fails) return 0;
          fails = false;
          throw new Error("no clock");
        };
        const connection = opened(role, { platform: { clock }, timeouts: { ping: 1000 } });
        const wire = fromPeer(role, { opcode: 2, payload: "x".repeat(200) });
        connection.receive(wire.slice(0, cut));
        expect(pull(connection)).toEqual([]);
        fails = true;
        expect(() => {
          connection.receive(wire.slice(cut, cut + 1));
        }).toThrow("no clock");
        connection.receive(wire.slice(cut, cut + 1));
        connection.receive(wire.slice(cut + 1));
        expect(summarize(pull(connection))).toEqual([
          { type: "binary", payload: "78".repeat(200), final: true },
        ]);
      });
    }
  }
});

describe("a client whose `random` throws once", () => {
  for (const size of [3, 40]) {
    it(`is told of a text that is wrong in a chunk of ${size} bytes, once it can be answered`, () => {
      const entropy = new Failing();
      const client = opened("client", { platform: entropy });
      const wire = fromPeer("client", { opcode: 1, payload: "a", claimedLength: 1000, lengthForm: 16 });
      client.receive(wire);
      expect(pull(client)).toEqual([]);
      client.receive(new Uint8Array(size).fill(0xff));
      entropy.during(() => client.nextEvent());
      expect(summarize(pull(client))).toMatchObject([
        { type: "closing", code: 1007, cause: { rule: "invalid-utf8", offset: wire.length } },
      ]);
    });
  }

  for (const [what, frame, event, answer] of [
    ["a ping", { opcode: 9, payload: "?" }, { type: "ping" }, { opcode: 10, payload: bytes(0x3f) }],
    [
      "a Close",
      { opcode: 8, payload: bytes(0x03, 0xe9) },
      { type: "closing", code: 1001, cause: { by: "peer", rule: "closed" } },
      { opcode: 8, payload: bytes(0x03, 0xe9) },
    ],
    [
      "a Close with a code that is none",
      { opcode: 8, payload: bytes(0x03, 0xed) },
      { type: "closing", code: 1002, cause: { by: "peer" } },
      { opcode: 8 },
    ],
  ] as const) {
    it(`is told of ${what} once, when it can be answered, amid a message too`, () => {
      for (const begun of [[], [{ opcode: 2, fin: false, payload: "a" }]] as const) {
        const entropy = new Failing();
        const client = opened("client", { platform: entropy });
        client.receive(framesFromPeer("client", [...begun, frame]));
        for (let i = 0; i < 70; i++) entropy.during(() => client.nextEvent());
        expect(client.outputSize).toBe(0);
        client.receive(framesFromPeer("client", [{ opcode: begun.length > 0 ? 0 : 2, payload: "b" }]));
        expect(client.nextEvent()).toMatchObject(event);
        expect(takeFrames(client)).toMatchObject([answer]);
        client.receiveEnd();
        const message = begun.length > 0 ? "ab" : "b";
        expect(pull(client)).toMatchObject(
          event.type === "ping"
            ? [{ type: "binary", payload: bytes(...Buffer.from(message)) }, { type: "closed" }]
            : [{ type: "closed", code: event.code === 1001 ? 1001 : 1006, cause: event.cause }],
        );
      }
    });
  }

  it("answers a peer's Close as the peer's, where its own could not be sent", () => {
    const entropy = new Failing();
    const client = opened("client", { platform: entropy });
    entropy.during(() => client.close(1000));
    client.receive(framesFromPeer("client", [{ opcode: 8, payload: bytes(0x03, 0xe9) }]));
    entropy.during(() => client.nextEvent());
    expect(pull(client)).toMatchObject([
      { type: "closing", code: 1001, cause: { by: "peer", rule: "closed" } },
    ]);
    takeAll(client);
    client.receiveEnd();
    expect(pull(client)).toMatchObject([
      {
        type: "closed",
        code: 1001,
        clean: true,
        sent: { code: 1001 },
        cause: { by: "peer", rule: "closed" },
      },
    ]);
  });

  it("goes on with a message in fragments where a Close could not be sent", () => {
    const entropy = new Failing();
    const client = opened("client", { platform: entropy });
    const writer = client.startMessage("text");
    writer.write("a");
    entropy.during(() => client.close());
    expect(() => client.sendText("lost")).toThrow("end() it first");
    expect(writer.end("b")).toBe(true);
    expect(takeFrames(client).map(({ opcode, fin }) => [opcode, fin])).toEqual([
      [1, false],
      [0, true],
    ]);
  });

  it("pings after silence once it can", () => {
    const entropy = new Failing();
    let now = 0;
    const client = opened("client", {
      platform: { random: entropy.random, clock: () => now },
      timeouts: { ping: 10, pong: 10 },
    });
    now = 10;
    entropy.during(() => {
      client.handleTimeout();
    });
    expect(client.deadline).toBe(10);
    client.handleTimeout();
    expect(takeFrames(client)).toMatchObject([{ opcode: 9 }]);
    expect(client.deadline).toBe(20);
  });

  it("sends the parts of a text as if they had not been tried before", () => {
    for (const [parts, text] of [
      [["\ud83d", "\ude00"], "\u{1f600}"],
      [["\ud83d", "a"], "\ufffda"],
      [["\ud83d", bytes(0x61)], "\ufffda"],
      [[bytes(0xe2), bytes(0x82), bytes(0xac)], "\u20ac"],
    ] as const) {
      const entropy = new Failing();
      const client = opened("client", { platform: entropy });
      const server = opened("server");
      const writer = client.startMessage("text");
      for (const part of parts) {
        if (part !== "\ud83d") entropy.during(() => writer.write(part));
        writer.write(part);
      }
      entropy.during(() => writer.end());
      writer.end();
      server.receive(takeAll(client));
      expect(pull(server)).toMatchObject([{ type: "text", text }]);
    }
  });

  it("sends messages as if they had not been tried before", () => {
    const entropy = new Failing();
    const client = opened("client", { platform: entropy });
    entropy.during(() => client.sendText("lost"));
    entropy.during(() => client.sendText("x".repeat(100)));
    entropy.during(() => client.sendBinary(bytes("lost")));
    client.sendText("sent");
    expect(takeFrames(client)).toMatchObject([{ opcode: 1, fin: true, payload: bytes("sent") }]);
  });

  it("begins a message in fragments with its first fragment that is sent", () => {
    for (const part of ["a", bytes("a")]) {
      const entropy = new Failing();
      const client = opened("client", { platform: entropy });
      const writer = client.startMessage("text");
      entropy.during(() => writer.write(part));
      writer.write(part);
      writer.end();
      expect(takeFrames(client)).toMatchObject([
        { opcode: 1, fin: false, payload: bytes("a") },
        { opcode: 0, fin: true, payload: bytes() },
      ]);
    }
  });

  for (const [name, codec] of CODECS) {
    it(`refers to nothing that its peer did not get, ${name}`, () => {
      const entropy = new Failing();
      const { client, server } = both({ codec, deflate: TAKEOVER, options: { platform: entropy } });
      const texts = ["one of a kind, ".repeat(20), "another of another kind, ".repeat(20)];
      client.sendText(texts[0] ?? "");
      entropy.during(() => client.sendText(texts[1] ?? ""));
      client.sendText(texts[1] ?? "");
      const writer = client.startMessage("text", { compress: true });
      writer.write(texts[0] ?? "");
      entropy.during(() => writer.write("part of a third, ".repeat(20)));
      writer.write("part of a third, ".repeat(20));
      entropy.during(() => writer.end(texts[1]));
      writer.end(texts[1]);
      const inParts = `${texts[0]}${"part of a third, ".repeat(20)}${texts[1]}`;
      server.receive(takeAll(client));
      expect(pull(server)).toMatchObject([...texts, inParts].map((text) => ({ type: "text", text })));
    });
  }

  it("writes a frame as if it had not been tried before", () => {
    const entropy = new Failing();
    const writer = new FrameWriter({ random: entropy.random });
    for (const size of [1, 100, 70_000]) {
      entropy.during(() => {
        writer.writeBytes(0x82, new Uint8Array(size));
      });
      expect(writer.take()).toBeUndefined();
    }
  });
});

/** The fragment that ends a message. */
const REST = { opcode: 0, payload: "z".repeat(99) };

describe("a reader whose platform throws once", () => {
  it("is still inside a message that began in the frame whose mask failed", () => {
    let fails = true;
    const reader = new FrameReader({
      masked: true,
      mask(bytes, start, end, key) {
        if (!fails) return mask(bytes, start, end, key);
        fails = false;
        throw new Error("no mask");
      },
    });
    reader.receive(framesFromPeer("server", [{ opcode: 1, fin: false, payload: "a" }]), true);
    expect(() => reader.next()).toThrow("no mask");
    reader.receive(framesFromPeer("server", [{ opcode: 1, payload: "b" }]), true);
    expect(reader.next()).toBe(false);
    expect(reader.fault).toBe("interleaved-message");
  });

  // What counts as read by then cannot be read again: the connection says so, and tells of no message that has lost a part.
  for (const [what, hook, chunks, failsAt = 1] of [
    ["a whole text is unmasked", "mask", [[{ opcode: 1, payload: "text" }]]],
    ["a whole text is decoded", "decode", [[{ opcode: 1, payload: "text" }]]],
    ["a piece of a text is unmasked", "mask", [[{ opcode: 1, payload: "text" }], -1]],
    ["the last piece of a text is unmasked", "mask", [[{ opcode: 1, payload: "text" }], -1], 2],
    ["a text is found to be wrong", "decode", [[{ opcode: 1, payload: bytes(0xff) }]], 2],
    ["a piece of a text is checked", "isValid", [[{ opcode: 1, payload: "€".repeat(99) }], -20]],
    ["a text in pieces is decoded", "decode", [[{ opcode: 1, payload: "€€€" }], -2]],
    ["a fragment of a text is unmasked", "mask", [[{ opcode: 1, fin: false, payload: "a" }, REST]]],
    [
      "a fragment of a text is checked",
      "isValid",
      [[{ opcode: 1, fin: false, payload: "€".repeat(33) }, REST]],
    ],
    ["a text in fragments is decoded", "decode", [[{ opcode: 1, fin: false, payload: "a" }, REST]]],
    ["a fragment is copied", "maskInto", [[{ opcode: 2, fin: false, payload: "a".repeat(99) }, REST]]],
    ["a piece is copied", "maskInto", [[{ opcode: 2, payload: "b".repeat(20_000) }], -10_000]],
    ["a Close is unmasked", "mask", [[{ opcode: 8, payload: bytes(0x03, 0xe8) }]]],
  ] as const) {
    it(`fails where ${what}`, () => {
      let calls = -Infinity;
      const fail = (name: string): void => {
        if (name === hook && ++calls === failsAt) throw new Error("no more");
      };
      const settings = new Settings({
        platform: {
          mask(target, start, end, key) {
            fail("mask");
            return mask(target, start, end, key);
          },
          maskInto(source, target, offset, key) {
            fail("maskInto");
            maskInto(source, target, offset, key);
          },
          utf8: {
            ...portableUtf8,
            isValid(...range) {
              fail("isValid");
              return checkUtf8(0, ...range) === 0;
            },
            decode(...range) {
              fail("decode");
              return portableUtf8.decode(...range);
            },
          },
        },
      });
      const [frames, cut] = chunks;
      const wire = framesFromPeer("server", [...frames, { opcode: 1, payload: "behind it" }]);
      const place = cut === undefined ? wire.length : framesFromPeer("server", frames).length + cut;
      const [connection, other] = [new Connection("server", settings), new Connection("server", settings)];
      for (const one of [connection, other]) pull(one);
      const told: unknown[] = [];
      let thrown = 0;
      const read = (): void => {
        try {
          for (let event = connection.nextEvent(); event !== undefined; event = connection.nextEvent())
            told.push(...summarize([event]));
        } catch {
          thrown++;
        }
      };
      calls = 0;
      for (const chunk of [wire.slice(0, place), wire.slice(place)]) {
        connection.receive(chunk, true);
        read();
        read();
      }
      expect(thrown).toBe(1);
      const cause = { by: "local", rule: "platform-failed" };
      expect(told).toMatchObject([{ type: "closing", code: 1011, cause }]);
      other.receive(fromPeer("server", { opcode: 1, payload: "untouched" }), true);
      expect(pull(other)).toMatchObject([{ type: "text", text: "untouched" }]);
    });
  }

  it.each([1, 2])("fails at a message that could not be inflated, in call %i", (failsAt) => {
    let calls = 0;
    const codec: DeflateCodec = {
      ...portableDeflate,
      inflator(windowBits) {
        const inflator = portableDeflate.inflator(windowBits);
        const pullOnce = inflator.pull.bind(inflator);
        inflator.pull = (...range) => {
          const end = pullOnce(...range);
          if (++calls === failsAt) throw new Error("no memory");
          return end;
        };
        return inflator;
      },
    };
    const { client, server } = both({ codec, deflate: TAKEOVER });
    client.sendText("one of a kind".repeat(5000));
    client.sendText("another");
    server.receive(takeAll(client));
    expect(() => server.nextEvent()).toThrow("no memory");
    expect(pull(server)).toMatchObject([
      { type: "closing", code: 1011, cause: { by: "local", rule: "platform-failed" } },
    ]);
  });

  it.each([false, true])("fails at what was inflated and could not be decoded, streaming %s", (streaming) => {
    let fails = true;
    const platform: Platform = {
      utf8: {
        ...portableUtf8,
        decode(...range) {
          if (!fails) return portableUtf8.decode(...range);
          fails = false;
          throw new Error("no memory");
        },
      },
    };
    const { client, server } = both({
      codec: portableDeflate,
      deflate: TAKEOVER,
      options: { platform, streaming },
    });
    client.sendText("one of a kind".repeat(streaming ? 5000 : 1));
    client.sendText("another");
    server.receive(takeAll(client));
    expect(() => server.nextEvent()).toThrow("no memory");
    expect(pull(server)).toMatchObject([{ type: "closing", code: 1011, cause: { rule: "platform-failed" } }]);
  });

  it("fails where there is no memory for a few bytes of a message", () => {
    const connection = opened("server");
    const wire = fromPeer("server", { opcode: 1, payload: "a".repeat(100_000) });
    const chunks = Array.from({ length: 4000 }, (_, i) => wire.slice(i * 20, i * 20 + 20));
    const noMemory = (): never => {
      throw new RangeError("no memory");
    };
    connection.receive(chunks[0] ?? bytes(), true);
    expect(pull(connection)).toEqual([]);
    vi.stubGlobal("Uint8Array", new Proxy(Uint8Array, { construct: noMemory }));
    try {
      expect(() => {
        for (const chunk of chunks.slice(1)) {
          connection.receive(chunk, true);
          connection.nextEvent();
        }
      }).toThrow("no memory");
    } finally {
      vi.unstubAllGlobals();
    }
    expect(pull(connection)).toMatchObject([
      { type: "closing", code: 1011, cause: { rule: "platform-failed" } },
    ]);
  });
});
