import { constants, deflateRawSync } from "node:zlib";

import { describe, expect, it, test } from "vitest";

import type {
  Connection,
  ConnectionEvent,
  DeflateCodec,
  DeflateOptions,
  Options,
  RuleName,
} from "../../../src/index.js";
import {
  Connection as OpenConnection,
  permessageDeflate,
  portableDeflate,
  PreparedMessage,
} from "../../../src/index.js";
import { Bits } from "../../support/deflate.js";
import {
  both,
  CODECS,
  CountingCodec,
  directions,
  end,
  meet,
  NO_TAKEOVER,
  ReferenceReceiver,
  ReferenceSender,
  TAKEOVER,
} from "../../support/deflated.js";
import { framesFromPeer, fromPeer, repeatable, ROLES, takeFrames } from "../../support/opened.js";
import type { FrameSpec, Summary, WireFrame } from "../../support/wire.js";
import {
  bytes,
  closePayload,
  feedings,
  fromHex,
  pull,
  queued,
  summarize,
  toHex,
} from "../../support/wire.js";

// permessage-deflate on messages (RFC 7692 6 and 7.2): each row in both roles, whole and byte by byte, with both codecs.

const SETTINGS = CODECS.flatMap(([name, codec]) =>
  ROLES.map((role) => ({ name: `${name}, ${role}`, codec, role })),
);
const WAYS = [...feedings, queued];

const TEXT = 1;
const BINARY = 2;
const CONTINUATION = 0;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** A frame whose message is compressed. */
const coded = (opcode: number, payload: Uint8Array | string, fin = true): FrameSpec => ({
  opcode,
  fin,
  rsv: 4,
  payload: typeof payload === "string" ? fromHex(payload) : payload,
});
const plain = (opcode: number, payload: Uint8Array | string, fin = true): FrameSpec => ({
  opcode,
  fin,
  payload,
});
const hexed = (opcode: number, payload: string, fin = true): FrameSpec =>
  plain(opcode, fromHex(payload), fin);

const text = (content: string): Summary => ({ type: "text", text: content, final: true });
const binary = (content: Uint8Array | string): Summary => ({
  type: "binary",
  payload: toHex(bytes(content)),
  final: true,
});
const ping = (content: string): Summary => ({ type: "ping", payload: toHex(bytes(content)) });

/** JSON as applications send it. */
function json(records: number, seed = 0): string {
  return JSON.stringify(
    Array.from({ length: records }, (_, index) => ({
      id: index + seed,
      name: `record ${(index * 7919 + seed) % 1000}`,
      tags: ["a", "é", "中", "😀"],
    })),
  );
}

/** Bytes with no pattern, always the same. */
function noise(size: number, seed = 1): Uint8Array {
  const next = repeatable(seed);
  return Uint8Array.from({ length: size }, () => next() >>> 24);
}

/** Stored blocks (RFC 1951 3.2.4) of `size` bytes each. */
function stored(content: Uint8Array, size: number): Buffer {
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += size) {
    const block = content.subarray(at, at + size);
    const length = block.length;
    blocks.push(bytes(0, [length & 255, length >> 8, ~length & 255, (~length >> 8) & 255], block));
  }
  return Buffer.concat([...blocks, Uint8Array.of(0)]);
}

const HELLO = "f248cdc9c90700";

interface Row {
  readonly rule: string;
  readonly frames: readonly FrameSpec[];
  readonly events: readonly Summary[];
}

/** The examples of RFC 7692 7.2.3, and what follows from them. With takeover. */
const RECEIVED: readonly Row[] = [
  { rule: "7.2.3.1: a message in one block", frames: [coded(TEXT, HELLO)], events: [text("Hello")] },
  {
    rule: "7.2.3.1: the same in two fragments",
    frames: [coded(TEXT, "f248cd", false), hexed(CONTINUATION, "c9c90700")],
    events: [text("Hello")],
  },
  {
    rule: "7.2.3.2: the second message looks back at the first",
    frames: [coded(TEXT, HELLO), coded(TEXT, "f200110000")],
    events: [text("Hello"), text("Hello")],
  },
  {
    rule: "7.2.3.2: without looking back, the same bytes again",
    frames: [coded(TEXT, HELLO), coded(TEXT, HELLO)],
    events: [text("Hello"), text("Hello")],
  },
  {
    rule: "7.2.3.3: a stored block",
    frames: [coded(TEXT, "000500faff48656c6c6f00")],
    events: [text("Hello")],
  },
  { rule: "7.2.3.4: a final block", frames: [coded(TEXT, "f348cdc9c9070000")], events: [text("Hello")] },
  {
    rule: "7.2.3.4: after a final block the window goes on",
    frames: [coded(TEXT, "f348cdc9c9070000"), coded(TEXT, "f200110000"), coded(BINARY, HELLO)],
    events: [text("Hello"), text("Hello"), binary("Hello")],
  },
  {
    rule: "7.2.3.4: a final block in the middle is read on, and looked back past",
    frames: [coded(TEXT, "f348cdc9c90700 f200110000")],
    events: [text("HelloHello")],
  },
  {
    rule: "7.2.3.4: a final block in the middle, where a fragment ends",
    frames: [coded(TEXT, "f348cdc9c90700", false), hexed(CONTINUATION, "f200110000")],
    events: [text("HelloHello")],
  },
  {
    rule: "7.2.3.5: two blocks, the first flushed",
    frames: [coded(TEXT, "f248050000 00ffff cac9c90700")],
    events: [text("Hello")],
  },
  { rule: "7.2.3.6: an empty message is the byte 00", frames: [coded(TEXT, "00")], events: [text("")] },
  {
    rule: "7.2.3.6: twice running, and between others",
    frames: [
      coded(BINARY, "00"),
      coded(BINARY, "00"),
      coded(TEXT, HELLO),
      coded(TEXT, "00"),
      coded(TEXT, "f200110000"),
    ],
    events: [binary(""), binary(""), text("Hello"), text(""), text("Hello")],
  },
  {
    rule: "7.2.3.6: an empty message as an empty block with fixed codes",
    frames: [coded(TEXT, "0200")],
    events: [text("")],
  },
  {
    rule: "7.2.3.6: an empty last fragment",
    frames: [coded(TEXT, "f248cdc9c907000000ffff", false), hexed(CONTINUATION, "00")],
    events: [text("Hello")],
  },
  {
    rule: "7.2.3.6: the first fragment, one in the middle and the last one with no byte",
    frames: [
      coded(TEXT, "", false),
      hexed(CONTINUATION, "f248cd", false),
      hexed(CONTINUATION, "", false),
      hexed(CONTINUATION, "c9c90700", false),
      hexed(CONTINUATION, ""),
    ],
    events: [text("Hello")],
  },
  {
    rule: "6: compressed messages and others mixed, and the window knows only the compressed ones",
    frames: [
      plain(TEXT, "Hello"),
      coded(TEXT, HELLO),
      plain(BINARY, "other"),
      plain(TEXT, "in ", false),
      plain(CONTINUATION, "two"),
      coded(BINARY, "f200110000"),
      plain(TEXT, ""),
    ],
    events: [text("Hello"), text("Hello"), binary("other"), text("in two"), binary("Hello"), text("")],
  },
  {
    rule: "6: pings between the fragments of a compressed message",
    frames: [
      plain(PING, "before"),
      coded(TEXT, "f248cd", false),
      plain(PING, "in"),
      hexed(CONTINUATION, "c9", false),
      plain(PING, ""),
      hexed(CONTINUATION, "c90700"),
      plain(PING, "after"),
      coded(TEXT, "f200110000"),
    ],
    events: [ping("before"), ping("in"), ping(""), text("Hello"), ping("after"), text("Hello")],
  },
];

describe.each(SETTINGS)("with $name: RFC 7692 7.2.3, what is received", ({ codec, role }) => {
  describe.each(RECEIVED)("$rule", ({ frames, events }) => {
    it.each(WAYS)("$name", (way) => {
      const connection = end(role, { codec, deflate: TAKEOVER });
      expect(summarize(way.feed(connection, framesFromPeer(role, frames)))).toEqual(events);
      expect(connection.state).toBe("open");
    });

    it.each(["string", "bytes"] as const)('streaming, text: "%s"', (kind) => {
      for (const way of WAYS) {
        const connection = end(role, { codec, deflate: TAKEOVER, options: { streaming: true, text: kind } });
        const seen = way.feed(connection, framesFromPeer(role, frames)).filter(({ type }) => type !== "ping");
        expect(summarize(seen)).toEqual(events.filter(({ type }) => type !== "ping"));
      }
    });
  });
});

/** What was sent as messages: each with whether it was compressed, and its fragments' payloads in one. */
function messagesOf(frames: readonly WireFrame[]): { coded: boolean; opcode: number; payload: Uint8Array }[] {
  const messages: { coded: boolean; opcode: number; payload: Uint8Array }[] = [];
  for (const { opcode, rsv, payload } of frames) {
    const open = messages.at(-1);
    if (opcode !== CONTINUATION) messages.push({ coded: rsv === 4, opcode, payload });
    else if (open !== undefined) open.payload = bytes(open.payload, payload);
  }
  return messages;
}

describe.each(SETTINGS)("with $name: RFC 7692 7.2.3, what is sent", ({ codec, role }) => {
  const sends = (deflate: DeflateOptions, send: (connection: Connection) => void): string[] => {
    const connection = end(role, { codec, deflate });
    send(connection);
    return takeFrames(connection).map(
      ({ fin, rsv, opcode, payload }) => `${fin ? "" : "…"}${rsv}/${opcode} ${toHex(payload)}`,
    );
  };

  it("7.2.3.1 and 7.2.3.2: Hello, and again with a look back", () => {
    const [first, second = "", ...more] = sends(TAKEOVER, (connection) => {
      connection.sendText("Hello");
      connection.sendText("Hello");
    });
    expect(more).toEqual([]);
    expect(first).toBe(`4/1 ${HELLO}`);
    // The RFC sends a literal and looks back for the rest; ours may look back for all of it.
    expect(["4/1 f200110000", "4/1 02130000"]).toContain(second);
    const receiver = new ReferenceReceiver();
    expect(receiver.message(fromHex(HELLO)).toString()).toBe("Hello");
    expect(receiver.message(fromHex(second.slice(4))).toString()).toBe("Hello");
  });

  it("7.2.3.1: without takeover, twice the same", () => {
    const twice = [`4/1 ${HELLO}`, `4/1 ${HELLO}`];
    expect(
      sends(NO_TAKEOVER, (connection) => {
        connection.sendText("Hello");
        connection.sendText(bytes("Hello"));
      }),
    ).toEqual(twice);
  });

  it.each([
    ["with takeover", TAKEOVER],
    ["without", NO_TAKEOVER],
  ])("7.2.3.6: empty messages, %s: the byte 00 each time", (_, deflate) => {
    expect(
      sends(deflate, (connection) => {
        connection.sendText("");
        connection.sendBinary(bytes());
        connection.sendText("Hello");
        connection.sendText("");
        connection.sendText("");
      }),
    ).toEqual(["4/1 00", "4/2 00", `4/1 ${HELLO}`, "4/1 00", "4/1 00"]);
  });

  it("7.2.3.6, 6.1: in fragments, RSV1 on the first only, each flushed, the four bytes left out at the end only", () => {
    const [first = "", second = "", last = "", ...more] = sends(TAKEOVER, (connection) => {
      const writer = connection.startMessage("text", { compress: true });
      writer.write("Hello");
      writer.write("");
      writer.write("Hello");
      writer.end();
    });
    expect(more).toEqual([]);
    expect(first).toBe(`…4/1 ${HELLO}0000ffff`);
    expect(second).toMatch(/^…0\/0 .*0000ffff$/);
    expect(last).toBe("0/0 00");
  });
});

describe.each(SETTINGS)("with $name: rules of framing (RFC 7692 6)", ({ codec, role }) => {
  const rows: readonly (readonly [rule: string, frames: readonly FrameSpec[], named?: RuleName])[] = [
    [
      "RSV1 on a continuation of a compressed message",
      [coded(TEXT, "f248cd", false), coded(CONTINUATION, "c9c90700")],
    ],
    ["RSV1 on a continuation of one that is not", [plain(TEXT, "a", false), coded(CONTINUATION, HELLO)]],
    ["RSV1 on a ping", [coded(PING, "")]],
    ["RSV1 on a pong", [coded(PONG, "")]],
    ["RSV1 on a Close", [coded(CLOSE, "03e8")]],
    ["RSV1 on a ping inside a message", [coded(TEXT, "f2", false), coded(PING, "")]],
    ["RSV1 on a reserved opcode", [coded(3, "")], "reserved-opcode"],
    ...[1, 2, 3, 5, 6, 7].map(
      (rsv) => [`RSV bits ${rsv.toString(2).padStart(3, "0")}`, [{ ...coded(TEXT, HELLO), rsv }]] as const,
    ),
    [
      "a new compressed message inside a compressed one",
      [coded(TEXT, "f248cd", false), coded(TEXT, HELLO)],
      "interleaved-message",
    ],
    ["a continuation of nothing with RSV1", [coded(CONTINUATION, HELLO)]],
  ];

  for (const [rule, frames, named = "reserved-bits"] of rows) {
    it(rule, () => {
      for (const way of WAYS) {
        const connection = end(role, { codec, deflate: TAKEOVER });
        expectFailure(connection, way.feed(connection, framesFromPeer(role, frames)), named, 1002);
      }
    });
  }

  it("RSV1 where nothing was agreed on", () => {
    for (const way of WAYS) {
      const connection = new OpenConnection(role, { halfClose: true, platform: { random: repeatable() } });
      expect(connection.nextEvent()?.type).toBe("open");
      const events = way.feed(connection, framesFromPeer(role, [coded(TEXT, HELLO)]));
      expectFailure(connection, events, "reserved-bits", 1002);
    }
  });
});

/** What events of a failure are, and that the connection comes to its end properly. */
function expectFailure(
  connection: Connection,
  events: readonly ConnectionEvent[],
  rule: RuleName,
  code: number,
): void {
  expect(events.filter(({ type }) => type === "closing" || type === "closed")).toHaveLength(1);
  const closing = events.at(-1);
  expect(closing).toMatchObject({ type: "closing", code, cause: { by: "peer", rule } });
  const sent = takeFrames(connection);
  expect(sent.at(-1)).toMatchObject({ opcode: CLOSE, fin: true, rsv: 0 });
  expect(toHex(sent.at(-1)?.payload ?? bytes())).toMatch(new RegExp(`^${toHex(closePayload(code))}`));
  // Whatever still comes is discarded.
  connection.receive(noise(3000));
  expect(pull(connection)).toEqual([]);
  connection.receiveEnd();
  const last = pull(connection);
  expect(last.map(({ type }) => type)).toEqual(["closed"]);
  expect(last[0]).toMatchObject({ code: 1006, clean: false, sent: { code }, cause: { by: "peer", rule } });
  expect(connection.state).toBe("closed");
  expect(connection.deadline).toBeUndefined();
  expect(pull(connection)).toEqual([]);
}

describe.each(SETTINGS)("with $name: what is not DEFLATE is 1007", ({ codec, role }) => {
  const reserved = new Bits().block("reserved").align().bytes;
  const rows: readonly (readonly [rule: string, frames: readonly FrameSpec[]])[] = [
    ["a block of the reserved type", [coded(TEXT, reserved)]],
    ["a stored block whose lengths do not fit", [coded(BINARY, "0005000000 48656c6c6f 00")]],
    ["a distance before all that was sent", [coded(TEXT, "f200110000")]],
    [
      "a distance too far inside a message",
      [coded(BINARY, new Bits().block("fixed").fixed(65).fixedMatch(2).fixed(256).align().bytes)],
    ],
    ["a message cut off inside a block", [coded(TEXT, "f248cd")]],
    ["one cut off behind fragments", [coded(TEXT, "f248", false), hexed(CONTINUATION, "cd")]],
    ["a stored block cut off", [coded(TEXT, "000500faff4865")]],
    ["RSV1 with an empty payload", [coded(TEXT, "")]],
    ["RSV1 with an empty payload, after a message", [coded(TEXT, HELLO), coded(BINARY, "")]],
    ["RSV1 with fragments that are all empty", [coded(TEXT, "", false), hexed(CONTINUATION, "")]],
    ["a bad block behind a final one", [coded(TEXT, Buffer.concat([fromHex("f348cdc9c90700"), reserved]))]],
    ["zlib's own header in front", [coded(TEXT, "789cf248cdc9c90700")]],
    [
      "a code for the codes' lengths that has no codes (RFC 1951 3.2.7)",
      [coded(TEXT, `04${"00".repeat(40)}`)],
    ],
  ];

  it.each(rows)("%s", (_, frames) => {
    for (const deflate of [TAKEOVER, NO_TAKEOVER]) {
      for (const streaming of [false, true]) {
        for (const way of WAYS) {
          const connection = end(role, { codec, deflate, options: { streaming } });
          expectFailure(connection, way.feed(connection, framesFromPeer(role, frames)), "bad-coding", 1007);
        }
      }
    }
  });

  // Found by a property: zlib tells of it once it is to read with that code, the portable codec at once.
  it("a code without codes, cut off, and a reserved opcode: what the codec sees first", () => {
    const [rule, failure] =
      codec === portableDeflate ? (["bad-coding", 1007] as const) : (["reserved-opcode", 1002] as const);
    for (const way of WAYS) {
      const connection = end(role, { codec, deflate: TAKEOVER });
      const frames = framesFromPeer(role, [coded(TEXT, "04000000", false), { opcode: 3 }]);
      expectFailure(connection, way.feed(connection, frames), rule, failure);
    }
  });

  it("without takeover a look back past the message's beginning", () => {
    const connection = end(role, { codec, deflate: NO_TAKEOVER });
    const frames = framesFromPeer(role, [coded(TEXT, HELLO), coded(TEXT, "f200110000")]);
    connection.receive(frames);
    const events = pull(connection);
    expect(summarize(events)[0]).toEqual(text("Hello"));
    expectFailure(connection, events, "bad-coding", 1007);
  });

  it.each([8, 9, 12])("a distance of one more than a window of 2^%i, byte by byte", (bits) => {
    const size = 2 ** bits;
    // The header of a stored block is at the end: what was left out of the message is the rest of that block.
    const message = (distance: number): Uint8Array =>
      Buffer.concat([
        stored(noise(size + 10), 5000).subarray(0, -1),
        new Bits().block("fixed").fixedMatch(distance).fixed(256).block("stored").align().bytes,
      ]);
    const deflate = directions(role, {}, { bits });
    const content = noise(size + 10);
    const [feeding] = feedings.filter(({ name }) => name === "byte by byte");
    const good = end(role, { codec, deflate });
    expect(
      summarize(feeding?.feed(good, framesFromPeer(role, [coded(BINARY, message(size))])) ?? []),
    ).toEqual([binary(bytes(content, content.subarray(10, 13)))]);
    const bad = end(role, { codec, deflate });
    const events = feeding?.feed(bad, framesFromPeer(role, [coded(BINARY, message(size + 1))])) ?? [];
    expectFailure(bad, events, "bad-coding", 1007);
  });
});

describe.each(SETTINGS)("with $name: final blocks", ({ codec, role }) => {
  it("many that hold nothing, then a long one: the verdict does not depend on chunks", () => {
    const content = noise(20_000);
    const verdicts = WAYS.map((way) => {
      const connection = end(role, { codec, deflate: TAKEOVER });
      const payload = bytes(...Array.from({ length: 100 }, () => [3, 0]), stored(content, 5000));
      return summarize(way.feed(connection, framesFromPeer(role, [coded(BINARY, payload)])));
    });
    for (const verdict of verdicts) expect(verdict).toEqual(verdicts[0]);
  });
});

describe.each(SETTINGS)("with $name: texts", ({ codec, role }) => {
  const payload = (content: Uint8Array | string): Uint8Array => new ReferenceSender().message(content);

  it.each<[rule: string, content: Uint8Array]>([
    ["a wrong byte", bytes("abc", 0xff)],
    ["a code point cut by the end", bytes("abc", 0xf0, 0x9f, 0x98)],
    ["a surrogate", bytes(0xed, 0xa0, 0x80)],
    ["a wrong byte far behind", bytes("中".repeat(20_000), 0x80, "x")],
  ])("%s is 1007 (RFC 6455 8.1)", (_, content) => {
    for (const kind of ["string", "bytes"] as const) {
      for (const streaming of [false, true]) {
        for (const way of WAYS) {
          const connection = end(role, {
            codec,
            deflate: TAKEOVER,
            options: { text: kind, streaming },
          });
          const events = way.feed(connection, framesFromPeer(role, [coded(TEXT, payload(content))]));
          expectFailure(connection, events, "invalid-utf8", 1007);
        }
      }
    }
  });

  it.each(["string", "bytes"] as const)('every size and kind of code point, with text: "%s"', (kind) => {
    const texts = ["", "a", "é", "中".repeat(500), "😀".repeat(9000), "\ufeffa", json(2), json(900)];
    for (const way of WAYS.slice(0, 4)) {
      const sender = new ReferenceSender();
      const connection = end(role, { codec, deflate: TAKEOVER, options: { text: kind } });
      const frames = texts.map((content) => coded(TEXT, sender.message(content)));
      expect(summarize(way.feed(connection, framesFromPeer(role, frames)))).toEqual(texts.map(text));
    }
  });

  it("lone surrogates are sent as U+FFFD, and pairs cut between two parts are joined", () => {
    const connection = end(role, { codec, deflate: TAKEOVER });
    connection.sendText("a\ud83d!");
    const writer = connection.startMessage("text", { compress: true });
    writer.write("x\ud83d");
    writer.write("\ude00y\ud83d");
    writer.write(bytes("z"));
    writer.end();
    const receiver = new ReferenceReceiver();
    expect(messagesOf(takeFrames(connection)).map((one) => receiver.message(one.payload).toString())).toEqual(
      ["a\ufffd!", "x😀y\ufffdz"],
    );
  });
});

describe.each(SETTINGS)("with $name: streaming", ({ codec, role }) => {
  it.each([
    ["text", "string"],
    ["text", "bytes"],
    ["binary", "string"],
  ] as const)("a small frame of %s (%s) is many events, and no huge one", (type, kind) => {
    const content = bytes("é中😀a".repeat(60_000));
    const payload = new ReferenceSender().message(content);
    expect(payload.length).toBeLessThan(5000);
    for (const way of WAYS.slice(0, 4)) {
      const connection = end(role, {
        codec,
        deflate: TAKEOVER,
        options: { streaming: true, text: kind },
      });
      const events = way.feed(
        connection,
        framesFromPeer(role, [
          coded(type === "text" ? TEXT : BINARY, payload),
          plain(PING, "p"),
          coded(TEXT, "00"),
        ]),
      );
      const pieces = events.filter((event) => event.type === type).slice(0, type === "text" ? -1 : undefined);
      expect(pieces.length).toBeGreaterThan(20);
      const parts: Uint8Array[] = [];
      for (const piece of pieces) {
        if (piece.type !== "text" && piece.type !== "binary") throw new Error("no piece of a message");
        expect(piece.payload.length).toBeLessThanOrEqual(16_384 + 3);
        if (!piece.final) expect(piece.payload.length).toBeGreaterThan(0);
        if (piece.type === "text") expect(piece.text).not.toMatch(/\p{Surrogate}|\ufffd/u);
        parts.push(piece.payload);
      }
      expect(Buffer.compare(Buffer.concat(parts), content)).toBe(0);
      expect(events.slice(-2).map((event) => event.type)).toEqual(["ping", "text"]);
    }
  });

  it("whoever stops taking events has no more inflated, and the rest comes later", () => {
    const counting = new CountingCodec(codec);
    const connection = end(role, { codec: counting, deflate: TAKEOVER, options: { streaming: true } });
    const content = new Uint8Array(1_000_000);
    connection.receive(fromPeer(role, coded(BINARY, new ReferenceSender().message(content))));
    const first = connection.nextEvent();
    expect(first?.type === "binary" && first.payload.length <= 16_384).toBe(true);
    connection.receiveEnd();
    const rest = summarize(pull(connection));
    expect(rest[0]).toMatchObject({ type: "binary", final: true });
    expect(rest[0]?.type === "binary" && rest[0].payload.length / 2 + 16_384).toBe(1_000_000);
    connection.takeOutput();
    expect([...rest, ...summarize(pull(connection))].map(({ type }) => type)).toEqual(["binary", "closed"]);
    expect(counting.live).toBe(0);
  });

  it("in fragments: what is there of a message comes before the rest arrives, and pings are answered", () => {
    const connection = end(role, { codec, deflate: TAKEOVER, options: { streaming: true } });
    const other = both({ codec, deflate: TAKEOVER })[role === "server" ? "client" : "server"];
    const writer = other.startMessage("text", { compress: true });
    const receive = (): Summary[] => {
      for (const chunk of other.takeOutput() ?? []) connection.receive(chunk);
      return summarize(pull(connection));
    };
    writer.write("first, ");
    expect(receive()).toEqual([{ type: "text", text: "first, ", final: false }]);
    other.ping(bytes("now"));
    expect(receive()).toEqual([ping("now")]);
    expect(takeFrames(connection)).toMatchObject([{ opcode: PONG, rsv: 0, payload: bytes("now") }]);
    writer.write("second, ");
    expect(receive()).toEqual([{ type: "text", text: "second, ", final: false }]);
    writer.end("last");
    expect(receive()).toEqual([text("last")]);
    other.sendText("first, second");
    expect(receive()).toEqual([text("first, second")]);
  });

  it("a ping inside a compressed message is answered before it ends, without streaming too", () => {
    const connection = end(role, { codec, deflate: TAKEOVER });
    connection.receive(framesFromPeer(role, [coded(TEXT, "f248cd", false), plain(PING, "now")]));
    expect(summarize(pull(connection))).toEqual([ping("now")]);
    expect(takeFrames(connection)).toMatchObject([{ opcode: PONG, rsv: 0, payload: bytes("now") }]);
    connection.receive(fromPeer(role, hexed(CONTINUATION, "c9c90700")));
    expect(summarize(pull(connection))).toEqual([text("Hello")]);
  });
});

describe.each(SETTINGS)("with $name: what is compressed", ({ codec, role }) => {
  const size = (bytesOfIt: number): string => "x".repeat(bytesOfIt);
  const sent = (deflate: DeflateOptions, send: (connection: Connection) => void): boolean[] => {
    const connection = end(role, { codec, deflate });
    send(connection);
    return messagesOf(takeFrames(connection)).map((message) => message.coded);
  };

  it.each<[name: string, deflate: DeflateOptions, sizes: readonly number[], coded: readonly boolean[]]>([
    ["by default", {}, [0, 127, 128, 4096, 1_048_576, 1_048_577], [false, false, true, true, true, false]],
    ["threshold 0", { threshold: 0 }, [0, 1], [true, true]],
    ["threshold 10, largest 20", { threshold: 10, largest: 20 }, [9, 10, 20, 21], [false, true, true, false]],
    ["threshold Infinity", { threshold: Infinity }, [0, 5000], [false, false]],
    ["largest Infinity", { largest: Infinity }, [2_000_000], [true]],
  ])("by size, %s: texts, bytes, prepared ones alike", (_, deflate, sizes, expected) => {
    expect(sent(deflate, (to) => sizes.forEach((one) => to.sendText(size(one))))).toEqual(expected);
    expect(sent(deflate, (to) => sizes.forEach((one) => to.sendText(bytes(size(one)))))).toEqual(expected);
    expect(sent(deflate, (to) => sizes.forEach((one) => to.sendBinary(new Uint8Array(one))))).toEqual(
      expected,
    );
    expect(
      sent(deflate, (to) => sizes.forEach((one) => to.sendPrepared(new PreparedMessage(size(one))))),
    ).toEqual(expected);
  });

  it("a text's size is that of its UTF-8", () => {
    expect(
      sent({ threshold: 9 }, (to) => {
        to.sendText("中中");
        to.sendText("中中中");
      }),
    ).toEqual([false, true]);
  });

  it("what the application says comes first", () => {
    const large = size(1_048_577);
    expect(
      sent({}, (to) => {
        to.sendText("short", { compress: true });
        to.sendText(large, { compress: true });
        to.sendText(size(500), { compress: false });
        to.sendBinary(bytes("short"), { compress: true });
        to.sendBinary(new Uint8Array(500), { compress: false });
        to.sendText(size(500), {});
        to.sendText(size(500), { compress: undefined });
        to.sendPrepared(new PreparedMessage("short", { compress: true }));
        to.sendPrepared(new PreparedMessage(size(500), { compress: false }));
        to.startMessage("text").end(size(500));
        to.startMessage("text", {}).end(size(500));
        to.startMessage("binary", { compress: false }).end(new Uint8Array(500));
        to.startMessage("text", { compress: true }).end("short");
        to.startMessage("binary", { compress: true }).end();
      }),
    ).toEqual([true, true, false, true, false, true, true, true, false, false, false, false, true, true]);
  });

  it("what was left uncompressed is not in the window", () => {
    const connection = end(role, { codec, deflate: TAKEOVER });
    const receiver = new ReferenceReceiver();
    const secret = json(5, 1);
    for (let times = 0; times < 3; times++) {
      connection.sendText(secret, { compress: false });
      connection.sendText(secret);
      connection.startMessage("text").end(secret);
      const messages = messagesOf(takeFrames(connection));
      expect(messages.map((message) => message.coded)).toEqual([false, true, false]);
      for (const { coded: isCoded, payload } of messages) {
        expect((isCoded ? receiver.message(payload) : Buffer.from(payload)).toString()).toBe(secret);
      }
    }
  });

  it("where nothing was agreed on, `compress` changes nothing", () => {
    const connection = new OpenConnection(role, { platform: { random: repeatable() } });
    expect(connection.nextEvent()?.type).toBe("open");
    connection.sendText("a", { compress: true });
    connection.sendPrepared(new PreparedMessage("b", { compress: true }));
    connection.startMessage("text", { compress: true }).end("c");
    expect(messagesOf(takeFrames(connection)).map(({ payload }) => Buffer.from(payload).toString())).toEqual([
      "a",
      "b",
      "c",
    ]);
  });

  it("a message that does not get shorter, and is longer than what is deflated at once", () => {
    const content = noise(300_000);
    const connection = end(role, { codec, deflate: TAKEOVER });
    connection.sendBinary(content);
    const writer = connection.startMessage("binary", { compress: true });
    writer.write(content.subarray(0, 150_000));
    writer.end(noise(150_000, 9));
    connection.sendText("Hello");
    const receiver = new ReferenceReceiver();
    const [whole, parts, last] = messagesOf(takeFrames(connection)).map(({ payload }) =>
      receiver.message(payload),
    );
    expect(Buffer.compare(whole ?? bytes(), content)).toBe(0);
    expect(Buffer.compare(parts ?? bytes(), bytes(content.subarray(0, 150_000), noise(150_000, 9)))).toBe(0);
    expect(last?.toString()).toBe("Hello");
  });

  it("what is queued is a copy: of what may change once it was sent, and of what the next message is deflated in", () => {
    const connection = end(role, { codec, deflate: TAKEOVER });
    const contents = [1, 2, 3, 4].map((seed) => noise(20_000, seed));
    const [first = bytes(), second = bytes(), third = bytes(), fourth = bytes()] = contents;
    const copies = contents.map((content) => content.slice());
    connection.sendBinary(first);
    connection.sendBinary(second);
    const writer = connection.startMessage("binary", { compress: true });
    writer.write(third);
    writer.end(fourth);
    connection.sendPrepared(new PreparedMessage(second));
    for (const content of contents) content.fill(0);
    const receiver = new ReferenceReceiver();
    const received = messagesOf(takeFrames(connection)).map(({ payload }) => receiver.message(payload));
    const [one = bytes(), two = bytes(), three = bytes(), four = bytes()] = copies;
    expect(received.map(toHex)).toEqual([one, two, bytes(three, four), two].map(toHex));
  });
});

describe.each(SETTINGS)("with $name: the window", ({ codec, role }) => {
  const messages = [json(3), json(3), "", json(30, 5), json(3), json(600, 9), json(30, 5), "end"];

  describe.each([8, 9, 10, 11, 12, 13, 14, 15])("of 2^%i", (bits) => {
    it.each([true, false])("takeover of what is sent: %s", (takeover) => {
      const deflate = directions(role, { bits, takeover }, { bits: 15, takeover: !takeover });
      const connection = end(role, { codec, deflate });
      const receiver = new ReferenceReceiver({ bits, takeover });
      const sizes: number[] = [];
      for (const content of messages) {
        connection.sendText(content);
        const [message] = messagesOf(takeFrames(connection));
        expect(message?.coded).toBe(true);
        expect(receiver.message(message?.payload ?? bytes()).toString()).toBe(content);
        sizes.push(message?.payload.length ?? 0);
      }
      if (takeover && bits > 8) expect(sizes[1]).toBeLessThan((sizes[0] ?? 0) / 2);
      if (!takeover) expect([sizes[1], sizes[4]]).toEqual([sizes[0], sizes[0]]);
    });

    it.each([true, false])("takeover of what is received: %s", (takeover) => {
      const deflate = directions(role, { bits: 15, takeover: !takeover }, { bits, takeover });
      for (const way of WAYS.slice(0, 4)) {
        const connection = end(role, { codec, deflate });
        const sender = new ReferenceSender({ bits, takeover });
        const frames = messages.map((content) => coded(TEXT, sender.message(content)));
        expect(summarize(way.feed(connection, framesFromPeer(role, frames)))).toEqual(messages.map(text));
      }
    });
  });
});

describe.each(CODECS)("prepared messages, with %s", (_, codec) => {
  const content = json(40);

  it("are compressed once for each window that the server was agreed to have", () => {
    const counting = new CountingCodec(codec);
    const offers: readonly DeflateOptions[] = [
      TAKEOVER,
      { ...TAKEOVER, serverMaxWindowBits: 10 },
      NO_TAKEOVER,
      { ...NO_TAKEOVER, serverMaxWindowBits: 10 },
    ];
    const extension = permessageDeflate({ ...TAKEOVER });
    const peers = Array.from({ length: 40 }, (__, index) =>
      meet(
        { extensions: [extension], platform: { deflate: counting } },
        { extensions: [permessageDeflate(offers[index % offers.length])] },
      ),
    );
    const message = new PreparedMessage(content);
    const frames = peers.map(({ server }) => {
      server.sendPrepared(message);
      const taken = takeFrames(server);
      expect(taken).toHaveLength(1);
      return toHex(taken[0]?.payload ?? bytes());
    });
    expect(counting.deflated).toBe(2);
    expect(new Set(frames.map((frame, index) => frame === frames[index % offers.length]))).toEqual(
      new Set([true]),
    );
  });

  describe.each(ROLES)("sent by a %s", (role) => {
    it.each([
      ["with takeover", TAKEOVER],
      ["without", NO_TAKEOVER],
      ["with a window of 2^8", { ...TAKEOVER, serverMaxWindowBits: 8, clientMaxWindowBits: 8 }],
    ])("never corrupt a window, %s", (__, deflate) => {
      const extension = permessageDeflate(deflate);
      const make = (): Options => ({ extensions: [extension], platform: { deflate: codec } });
      const other = role === "server" ? "client" : "server";
      const peers = Array.from({ length: 5 }, () => meet(make(), make()));
      const prepared = [
        new PreparedMessage(content),
        new PreparedMessage(bytes(content)),
        new PreparedMessage(""),
        new PreparedMessage(content, { compress: false }),
      ];
      const arrived: string[][] = peers.map(() => []);
      const expected: string[][] = peers.map(() => []);
      const deliver = (): void => {
        peers.forEach((ends, index) => {
          for (const chunk of ends[role].takeOutput() ?? []) ends[other].receive(chunk);
          for (const event of pull(ends[other])) {
            if (event.type !== "text" && event.type !== "binary") throw new Error(`a ${event.type}`);
            arrived[index]?.push(Buffer.from(event.payload).toString());
          }
        });
      };
      for (let turn = 0; turn < 12; turn++) {
        peers.forEach((ends, index) => {
          const own = json(3 + (turn % 4), index);
          const times = (turn + index) % 3;
          for (let count = 0; count < times; count++) {
            ends[role].sendText(own);
            expected[index]?.push(own);
          }
          if ((turn + index) % 4 === 0) {
            const writer = ends[role].startMessage("text", { compress: true });
            writer.write(own.slice(0, 9));
            writer.end(own.slice(9));
            expected[index]?.push(own);
          }
        });
        const message = prepared[turn % prepared.length] as PreparedMessage;
        for (const [index, ends] of peers.entries()) {
          expect(ends[role].sendPrepared(message)).toBe(true);
          expected[index]?.push(Buffer.from(message.payload).toString());
        }
        if (turn % 3 === 0) deliver();
      }
      deliver();
      expect(arrived).toEqual(expected);
    });
  });

  it("a binary message stays one, a text stays a text, uncompressed where nothing was agreed on", () => {
    const connection = end("server", { codec, deflate: TAKEOVER });
    const plainOne = new OpenConnection("server", {});
    for (const message of [new PreparedMessage(content), new PreparedMessage(bytes(content))]) {
      connection.sendPrepared(message);
      plainOne.sendPrepared(message);
    }
    const receiver = new ReferenceReceiver();
    const frames = takeFrames(connection);
    expect(frames.map(({ opcode, rsv }) => [opcode, rsv])).toEqual([
      [TEXT, 4],
      [BINARY, 4],
    ]);
    for (const { payload } of frames) expect(receiver.message(payload).toString()).toBe(content);
    expect(takeFrames(plainOne).map(({ opcode, rsv }) => [opcode, rsv])).toEqual([
      [TEXT, 0],
      [BINARY, 0],
    ]);
  });
});

describe.each(SETTINGS)("with $name: bounds (RFC 6455 10.4)", ({ codec, role }) => {
  const limit = 20_000;
  const limited = (deflate = TAKEOVER, options: Options = {}): Connection =>
    end(role, { codec, deflate, options: { limits: { message: limit }, ...options } });
  const zeros = (count: number): Uint8Array => new Uint8Array(count);
  const cut = (payload: Uint8Array, opcode: number): FrameSpec[] =>
    [0, 1, 2].map((index) => ({
      opcode: index === 0 ? opcode : CONTINUATION,
      rsv: index === 0 ? 4 : 0,
      fin: index === 2,
      payload: payload.subarray((payload.length * index) / 3, (payload.length * (index + 1)) / 3),
    }));

  it.each([0, 1, 5, limit])("exactly %i is accepted, one more is 1009, in every shape", (most) => {
    const shapes: readonly (readonly [DeflateOptions, (payload: Uint8Array) => FrameSpec[]])[] = [
      [TAKEOVER, (payload) => [coded(BINARY, payload)]],
      [TAKEOVER, (payload) => cut(payload, BINARY)],
      [NO_TAKEOVER, (payload) => [coded(TEXT, payload)]],
      [NO_TAKEOVER, (payload) => cut(payload, TEXT)],
    ];
    for (const [deflate, shape] of shapes) {
      for (const streaming of [false, true]) {
        for (const way of WAYS) {
          const connection = limited(deflate, { limits: { message: most }, streaming });
          const sender = new ReferenceSender({ takeover: deflate === TAKEOVER });
          const good = [
            ...shape(sender.message(zeros(most))),
            ...shape(sender.message(zeros(most))),
            plain(TEXT, "x".repeat(most)),
          ];
          const messages = way.feed(connection, framesFromPeer(role, good));
          expect(summarize(messages).map((one) => "final" in one && one.final)).toEqual([true, true, true]);
          const over = way.feed(connection, framesFromPeer(role, shape(sender.message(zeros(most + 1)))));
          const pieces = over.flatMap((event) =>
            event.type === "text" || event.type === "binary" ? [event.payload.length] : [],
          );
          expect(pieces.reduce((sum, length) => sum + length, 0)).toBe(streaming ? most : 0);
          expectFailure(connection, over, "message-limit", 1009);
        }
      }
    }
  });

  it("of two faults the first is told: a wrong byte before the limit, or the limit before a wrong byte", () => {
    for (const [at, rule, code] of [
      [5, "invalid-utf8", 1007],
      [limit - 1, "invalid-utf8", 1007],
      [limit, "message-limit", 1009],
    ] as const) {
      for (const streaming of [false, true]) {
        for (const way of WAYS) {
          const connection = limited(TAKEOVER, { streaming, limits: { message: limit } });
          const payload = new Uint8Array(limit + 50).fill(0x61);
          payload[at] = 0xff;
          const events = way.feed(
            connection,
            framesFromPeer(role, cut(new ReferenceSender().message(payload), TEXT)),
          );
          expectFailure(connection, events, rule, code);
        }
      }
    }
  });

  it("a message in pieces is counted from its beginning, not from the last one's end", () => {
    const connection = limited();
    const sender = new ReferenceSender();
    for (let times = 0; times < 5; times++) {
      connection.receive(framesFromPeer(role, cut(sender.message(noise(limit, times)), BINARY)));
      expect(summarize(pull(connection))).toEqual([binary(noise(limit, times))]);
    }
  });

  const most = Math.ceil(limit * (1 + 1 / 64)) + 1024;

  it("compressed bytes: stored blocks of a message at the limit are accepted", () => {
    for (const way of WAYS) {
      const connection = limited();
      const payload = stored(noise(limit), 400); // 5 bytes in front of 400
      expect(payload.length).toBeGreaterThan(limit + 100);
      expect(payload.length).toBeLessThanOrEqual(most);
      expect(summarize(way.feed(connection, framesFromPeer(role, [coded(BINARY, payload)])))).toEqual([
        binary(noise(limit)),
      ]);
    }
  });

  /** Empty stored blocks, and the byte of an empty message. */
  const empty = (size: number): Uint8Array => {
    const payload = new Uint8Array(size);
    for (let at = 0; at + 5 < size; at += 5) payload.set([0, 0, 0, 255, 255], at);
    return payload;
  };

  it("compressed bytes: empty blocks up to the limit and 1/64 and 1 KiB are an empty message", () => {
    const whole = most - (most % 5) + (most % 5 === 0 ? -4 : 1);
    for (const way of WAYS) {
      const connection = limited();
      const frames = framesFromPeer(role, [coded(BINARY, empty(whole)), coded(TEXT, HELLO)]);
      expect(summarize(way.feed(connection, frames))).toEqual([binary(""), text("Hello")]);
    }
  });

  it("compressed bytes: one more is 1009, at the header", () => {
    const connection = limited();
    connection.receive(fromPeer(role, coded(BINARY, empty(most + 1))).subarray(0, role === "server" ? 8 : 4));
    expectFailure(connection, pull(connection), "message-limit", 1009);
  });

  it("compressed bytes: one more over fragments is 1009, also with streaming", () => {
    for (const streaming of [false, true]) {
      for (const way of WAYS.slice(0, 3)) {
        const connection = limited(TAKEOVER, { streaming, limits: { message: limit } });
        const frames = [coded(BINARY, empty(5001).subarray(0, 5000), false)];
        for (let sum = 5000; sum <= most; sum += 5000)
          frames.push(plain(CONTINUATION, empty(5001).subarray(0, 5000), false));
        expectFailure(connection, way.feed(connection, framesFromPeer(role, frames)), "message-limit", 1009);
      }
    }
  });

  it("compressed bytes: after a compressed message, one that is not has no such room", () => {
    const connection = limited();
    connection.receive(framesFromPeer(role, [coded(TEXT, HELLO), plain(BINARY, zeros(limit + 1))]));
    const events = pull(connection);
    expectFailure(connection, events, "message-limit", 1009);
  });

  it("a frame's limit counts the bytes on the wire", () => {
    const options = { limits: { frame: 100 } };
    const sender = new ReferenceSender();
    const connection = end(role, { codec, deflate: TAKEOVER, options });
    connection.receive(fromPeer(role, coded(BINARY, sender.message(zeros(50_000)))));
    expect(summarize(pull(connection))).toEqual([binary(zeros(50_000))]);
    connection.receive(fromPeer(role, coded(BINARY, sender.message(noise(101)))));
    expectFailure(connection, pull(connection), "frame-limit", 1009);
  });

  it("a bomb behind the limit is not inflated any further", () => {
    const connection = limited();
    const bomb = deflateRawSync(new Uint8Array(16_777_216), { finishFlush: constants.Z_SYNC_FLUSH });
    let asked = 0;
    const counting: DeflateCodec = {
      deflator: (bits, level) => codec.deflator(bits, level),
      inflator(bits) {
        const inflator = codec.inflator(bits);
        return {
          push(from, start, stop) {
            inflator.push(from, start, stop);
          },
          pull(target, start, stop) {
            const at = inflator.pull(target, start, stop);
            asked += at - start;
            return at;
          },
          end: () => inflator.end(),
          reset() {
            inflator.reset();
          },
          release() {
            inflator.release();
          },
        };
      },
    };
    const watched = end(role, {
      codec: counting,
      deflate: TAKEOVER,
      options: { limits: { message: limit }, streaming: true },
    });
    for (const one of [connection, watched]) {
      one.receive(fromPeer(role, coded(BINARY, bomb)));
      expectFailure(one, pull(one), "message-limit", 1009);
    }
    expect(asked).toBe(limit + 1);
  });
});

describe.each(SETTINGS)(
  "with $name: coders are released, whichever way a connection ends",
  ({ codec, role }) => {
    const peers = role === "server" ? "client" : "server";
    /** Ways to end a connection that has coders of its own, and is inside messages in both directions. */
    const ENDS: readonly (readonly [name: string, end: (connection: Connection) => void])[] = [
      [
        "the peer's Close",
        (connection) => {
          connection.receive(fromPeer(role, plain(CLOSE, closePayload(1000))));
        },
      ],
      [
        "our Close, and the peer's",
        (connection) => {
          connection.close(1000);
          connection.receive(fromPeer(role, plain(CLOSE, closePayload(1000))));
        },
      ],
      [
        "our Close, and the peer's end",
        (connection) => {
          connection.close(1000);
          pull(connection);
          connection.takeOutput();
        },
      ],
      ["the peer's end", () => undefined],
      [
        "a lost transport",
        (connection) => {
          connection.transportLost(new Error("a reset"));
        },
      ],
      [
        "a broken rule",
        (connection) => {
          connection.receive(fromPeer(role, coded(PING, "")));
        },
      ],
      [
        "bad DEFLATE",
        (connection) => {
          connection.receive(fromPeer(role, hexed(CONTINUATION, "ffffffff")));
        },
      ],
      [
        "a message over the limit",
        (connection) => {
          connection.receive(fromPeer(role, { opcode: 0, payload: noise(400), claimedLength: 2 ** 40 }));
        },
      ],
    ];

    const finish = (connection: Connection, how: (connection: Connection) => void): void => {
      how(connection);
      const events = pull(connection);
      connection.takeOutput();
      connection.receiveEnd();
      events.push(...pull(connection));
      connection.takeOutput();
      events.push(...pull(connection));
      expect(events.filter(({ type }) => type === "closed")).toHaveLength(1);
      expect(connection.state).toBe("closed");
    };

    describe.each([
      ["with takeover", TAKEOVER],
      ["without", NO_TAKEOVER],
    ])("%s", (_, deflate) => {
      it.each(ENDS)("%s", (__, how) => {
        const counting = new CountingCodec(codec);
        const extension = permessageDeflate(deflate);
        const options: Options = { extensions: [extension], platform: { deflate: counting } };
        const open = (): Connection => meet(options, options)[role];
        for (let round = 0; round < 8; round++) {
          const all = Array.from({ length: 3 }, open);
          for (const connection of all) {
            connection.sendText("Hello");
            const writer = connection.startMessage("text", { compress: true });
            writer.write("begun");
            connection.receive(framesFromPeer(role, [coded(TEXT, HELLO), coded(TEXT, "f248cd", false)]));
            expect(summarize(pull(connection))).toEqual([text("Hello")]);
            finish(connection, how);
            expect(writer.write("too late")).toBe(false);
            expect(writer.end()).toBe(false);
          }
          // With takeover none is left; without, those that wait for others.
          expect(counting.live).toBe(deflate === TAKEOVER ? 0 : 2);
        }
        if (deflate === NO_TAKEOVER) expect(counting.created).toBe(2);
      });

      it("none of them is left by connections that are inside of messages at once, but a few that wait", () => {
        const counting = new CountingCodec(codec);
        const extension = permessageDeflate(deflate);
        const options: Options = { extensions: [extension], platform: { deflate: counting } };
        const all = Array.from({ length: 30 }, () => meet(options, options)[role]);
        for (const connection of all) {
          connection.startMessage("text", { compress: true }).write("begun");
          connection.receive(fromPeer(role, coded(TEXT, "f248cd", false)));
          pull(connection);
        }
        expect(counting.live).toBe(60);
        for (const connection of all) finish(connection, () => undefined);
        expect(counting.live).toBeLessThanOrEqual(deflate === TAKEOVER ? 0 : 8);
        // What waited is used again, with nothing left of what was begun.
        const next = meet(options, options);
        next[role].sendText("Hello");
        expect(takeFrames(next[role]).map(({ payload }) => toHex(payload))).toEqual([HELLO]);
        next[role].receive(fromPeer(role, coded(TEXT, HELLO)));
        expect(summarize(pull(next[role]))).toEqual([text("Hello")]);
      });
    });

    it("also those of prepared messages", () => {
      const counting = new CountingCodec(codec);
      const options: Options = { extensions: [permessageDeflate(TAKEOVER)], platform: { deflate: counting } };
      for (let round = 0; round < 20; round++) {
        const ends = meet(options, options);
        ends[role].sendText(json(3));
        ends[role].sendPrepared(new PreparedMessage(json(4)));
        if (round % 2 === 0) ends[role].sendText(json(3));
        for (const chunk of ends[role].takeOutput() ?? []) ends[peers].receive(chunk);
        expect(pull(ends[peers]).map(({ type }) => type)).toEqual(
          round % 2 === 0 ? ["text", "text", "text"] : ["text", "text"],
        );
        for (const each of ["server", "client"] as const) finish(ends[each], () => undefined);
      }
      expect(counting.live).toBeLessThanOrEqual(4); // which wait for the next
    });
  },
);

test("nothing is created before the first compressed message, whatever else is sent and received", () => {
  const counting = new CountingCodec(portableDeflate);
  const make = (): Options => ({
    extensions: [permessageDeflate({ serverNoContextTakeover: false, clientNoContextTakeover: false })],
    platform: { deflate: counting },
  });
  const { server, client } = meet(make(), make());
  for (const [from, to] of [
    [server, client],
    [client, server],
  ] as const) {
    from.sendText("short");
    from.sendBinary(noise(500), { compress: false });
    from.sendPrepared(new PreparedMessage("short"));
    from.startMessage("text").end("x".repeat(500));
    from.ping();
    for (const chunk of from.takeOutput() ?? []) to.receive(chunk);
    expect(pull(to).filter(({ type }) => type !== "pong")).toHaveLength(5);
  }
  expect(counting.created).toBe(0);
  server.sendText("x".repeat(500));
  expect(counting.created).toBe(1);
  for (const chunk of server.takeOutput() ?? []) client.receive(chunk);
  expect(summarize(pull(client)).at(-1)).toEqual(text("x".repeat(500)));
  expect(counting.created).toBe(2);
});

test.each([
  ["with takeover", TAKEOVER],
  ["without", NO_TAKEOVER],
])("ten thousand idle connections that agreed, %s, create nothing", (_, deflate) => {
  const counting = new CountingCodec(portableDeflate);
  const extension = permessageDeflate(deflate);
  const options: Options = { extensions: [extension], platform: { deflate: counting } };
  const all = Array.from({ length: 10_000 }, () => meet(options, options).server);
  expect(counting.created).toBe(0);
  for (const connection of all) {
    connection.receiveEnd();
    expect(connection.nextEvent()?.type).toBe("closed");
  }
  expect(counting.created).toBe(0);
});

test("without takeover all of them share a few coders", () => {
  const counting = new CountingCodec(portableDeflate);
  const options: Options = {
    extensions: [permessageDeflate(NO_TAKEOVER)],
    platform: { deflate: counting },
  };
  for (let index = 0; index < 1000; index++) {
    const { server, client } = meet(options, options);
    server.sendText(`message ${index}`);
    for (const chunk of server.takeOutput() ?? []) client.receive(chunk);
    expect(summarize(pull(client))).toEqual([text(`message ${index}`)]);
  }
  expect(counting.created).toBe(2);
});

describe("a compressed message", () => {
  for (const { name, codec, role } of SETTINGS) {
    it(`leaves no trace in the fault of a text behind it that is not compressed: ${name}`, () => {
      const frames = framesFromPeer(role, [
        coded(TEXT, Uint8Array.of(0)),
        { opcode: TEXT, payload: Uint8Array.of(0x61, 0xff) },
      ]);
      const offsets = WAYS.map((way) => {
        const [text, closing] = way.feed(end(role, { codec, deflate: NO_TAKEOVER }), frames);
        expect(text).toMatchObject({ type: "text", text: "" });
        if (closing?.type !== "closing") throw new Error("it was not failed");
        return closing.cause.offset;
      });
      expect(offsets).toEqual(WAYS.map(() => offsets[0]));
      expect(offsets[0]).toBeTypeOf("number");
    });
  }
});

describe.each(ROLES)("with streaming, what fills what is inflated at once: %s", (role) => {
  const size = 16_384;
  const stored = [0x00, size & 0xff, size >> 8, ~size & 0xff, (~size >> 8) & 0xff]; // RFC 1951 3.2.4
  const filling = Uint8Array.from([...stored, ...new Array<number>(size).fill(7)]);
  const streaming = (): Connection =>
    end(role, { codec: portableDeflate, deflate: NO_TAKEOVER, options: { streaming: true } });
  const sizeOf = (events: readonly ConnectionEvent[]): number =>
    events.reduce((sum, event) => sum + (event.type === "binary" ? event.size : 0), 0);

  it("is told before a fault right behind it", () => {
    const payload = Uint8Array.of(...filling, 0x06); // RFC 1951 3.2.3: no block has that type
    for (const way of WAYS) {
      const events = way.feed(streaming(), fromPeer(role, coded(BINARY, payload)));
      expect(sizeOf(events)).toBe(size);
      expect(events.at(-1)).toMatchObject({ type: "closing", code: 1007, cause: { rule: "bad-coding" } });
    }
  });

  it("is followed by the next fragment", () => {
    const frames = framesFromPeer(role, [
      coded(BINARY, filling, false),
      { opcode: CONTINUATION, payload: Uint8Array.of(...filling, 0x00) },
    ]);
    for (const way of WAYS) {
      const events = way.feed(streaming(), frames);
      expect(sizeOf(events)).toBe(2 * size);
      expect(events.at(-1)).toMatchObject({ type: "binary", final: true });
    }
  });
});
