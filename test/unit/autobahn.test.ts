// The cases of the field's public conformance suite, by its numbers, in words and a table of our own, against an echo on
// each side that is built on the core. Groups 9 and 10 run at reduced sizes.

import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Connection, Role } from "../../src/index.js";
import { ClientConnection, headerValue, ServerConnection } from "../../src/index.js";
import { fromPeer, repeatable, ROLES } from "../support/opened.js";
import type { FrameSpec } from "../support/wire.js";
import { bytes, closePayload, fromHex, parseFrames, pull, takeAll, toHex } from "../support/wire.js";

/** An echo, open after the opening handshake, and what it sent since it was last asked. */
class Echo {
  readonly role: Role;
  readonly closed: string[] = [];
  private readonly connection: Connection;

  constructor(role: Role) {
    this.role = role;
    const options = { platform: { random: repeatable(7) }, halfClose: true };
    if (role === "server") {
      const server = new ServerConnection(options);
      this.connection = server;
      const head = ["GET /echo HTTP/1.1", "Host: test", "Upgrade: websocket", "Connection: Upgrade"];
      head.push("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
      server.receive(bytes(`${head.join("\r\n")}\r\n\r\n`));
      expect(pull(server)).toMatchObject([{ type: "request" }]);
      server.accept();
      expect(Buffer.from(takeAll(server)).toString()).toMatch(/^HTTP\/1.1 101 /);
    } else {
      const client = new ClientConnection("ws://test/echo", options);
      this.connection = client;
      takeAll(client);
      const key = headerValue(client.request.headers, "sec-websocket-key") ?? "";
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      const head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
      client.receive(bytes(`${[...head, `Sec-WebSocket-Accept: ${accept}`].join("\r\n")}\r\n\r\n`));
    }
    expect(pull(this.connection)).toMatchObject([{ type: "open" }]);
  }

  receive(data: Uint8Array, chop: number): void {
    for (let at = 0; at < data.length; at += chop) {
      this.connection.receive(data.slice(at, at + chop), true);
      for (const event of this.connection.events()) {
        if (event.type === "text") this.connection.sendText(event.text);
        if (event.type === "binary") this.connection.sendBinary(event.payload);
        if (event.type === "closed") this.closed.push(`${event.code} ${event.clean}`);
      }
    }
  }

  /** What was sent: frames of whole messages, each masked if and only if it is a client's. */
  take(): [opcode: number, payload: Uint8Array][] {
    return parseFrames(takeAll(this.connection)).map(({ fin, rsv, opcode, masked, payload }) => {
      expect([fin, rsv, masked]).toEqual([true, 0, this.role === "client"]);
      return [opcode, payload];
    });
  }

  end(): void {
    this.connection.receiveEnd();
    for (const event of pull(this.connection))
      if (event.type === "closed") this.closed.push(`${event.code} ${event.clean}`);
  }
}

type Payload = string | Uint8Array;
type Reply = readonly [opcode: number, payload: Payload];

/** Frames to send at once, and what is to come back before anything else is sent. */
interface Step {
  readonly send: readonly (FrameSpec & {
    /** Sends only these bytes of it. */ readonly only?: readonly [number, number?];
  })[];
  readonly replies: readonly Reply[];
}

interface Case {
  readonly id: string;
  readonly steps: readonly Step[];
  /** How many bytes are received at once. Each case runs whole and byte by byte too, unless it is long. */
  readonly chop?: number;
  readonly long?: boolean;
  /** The code in the Close that comes back; the tester closes with 1000 where it is left out. */
  readonly closes?: number | "empty";
  /** Whether the tester's own Close was among what it sent, or the connection is failed. */
  readonly clean?: boolean;
}

const text = (payload: Payload): FrameSpec => ({ opcode: 1, payload });
const ping = (payload: Payload): FrameSpec => ({ opcode: 9, payload });
const close = (code: number, reason: Payload = ""): FrameSpec => ({
  opcode: 8,
  payload: closePayload(code, typeof reason === "string" ? bytes(reason) : reason),
});

/** Everything is sent at once; then these replies come, and the connection goes on. */
function answered(id: string, send: Step["send"], ...replies: readonly Reply[]): Case {
  return { id, steps: [{ send, replies }] };
}

/** As `answered`, but the connection is failed with `code` behind the replies. */
function failed(id: string, code: number, send: Step["send"], ...replies: readonly Reply[]): Case {
  return { id, steps: [{ send, replies }], closes: code };
}

/** As `answered`, but what is sent holds a Close, which is answered behind the replies. */
function closed(
  id: string,
  closes: number | "empty",
  send: Step["send"],
  ...replies: readonly Reply[]
): Case {
  return { id, steps: [{ send, replies }], closes, clean: true };
}

function fragments(opcode: number, payloads: readonly Payload[]): FrameSpec[] {
  return payloads.map((payload, index) => ({
    opcode: index === 0 ? opcode : 0,
    fin: index === payloads.length - 1,
    payload,
  }));
}

function pieces(payload: Uint8Array, size: number): Uint8Array[] {
  const count = Math.max(1, Math.ceil(payload.length / size));
  return Array.from({ length: count }, (_, index) => payload.slice(index * size, (index + 1) * size));
}

function filled(opcode: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(opcode === 1 ? 0x2a : 0xfe);
}

const group1 = [1, 2].flatMap((opcode) =>
  [0, 125, 126, 127, 128, 65535, 65536, 65536].map((length, index): Case => {
    const payload = filled(opcode, length);
    const it = answered(`1.${opcode}.${index + 1}`, [{ opcode, payload }], [opcode, payload]);
    return { ...it, long: length > 1000, ...(index === 7 ? { chop: 997 } : {}) };
  }),
);

const TEN = Array.from({ length: 10 }, (_, index) => `payload-${index}`);
const group2: Case[] = [
  answered("2.1", [ping("")], [10, ""]),
  answered("2.2", [ping("Hello, world!")], [10, "Hello, world!"]),
  answered(
    "2.3",
    [ping(bytes(0, 255, 254, 253, 252, 251, 0, 255))],
    [10, bytes(0, 255, 254, 253, 252, 251, 0, 255)],
  ),
  answered("2.4", [ping(filled(2, 125))], [10, filled(2, 125)]),
  failed("2.5", 1002, [ping(filled(2, 126))]),
  answered("2.6", [ping(filled(2, 125))], [10, filled(2, 125)]),
  answered("2.7", [{ opcode: 10 }]),
  answered("2.8", [{ opcode: 10, payload: "unasked" }]),
  answered("2.9", [{ opcode: 10, payload: "unasked" }, ping("asked")], [10, "asked"]),
  answered("2.10", TEN.map(ping), ...TEN.map((payload): Reply => [10, payload])),
  answered("2.11", TEN.map(ping), ...TEN.map((payload): Reply => [10, payload])),
];

const HELLO: Reply = [1, "hello"];
const group3: Case[] = [
  failed("3.1", 1002, [{ ...text("hello"), rsv: 1 }]),
  ...[2, 3, 4].map((rsv) =>
    failed(`3.${rsv}`, 1002, [text("hello"), { ...text("hello"), rsv }, ping("")], HELLO),
  ),
  failed("3.5", 1002, [{ opcode: 2, payload: filled(2, 8), rsv: 5 }]),
  failed("3.6", 1002, [{ ...ping("hello"), rsv: 6 }]),
  failed("3.7", 1002, [{ ...close(1000), rsv: 7 }]),
];

const group4: Case[] = [0, 8].flatMap((control) =>
  [3, 4, 5, 6, 7].map((low, index): Case => {
    const frame: FrameSpec = { opcode: control + low, payload: index === 0 || index === 2 ? "" : "reserved" };
    const id = `4.${control === 0 ? 1 : 2}.${index + 1}`;
    return index < 2 ? failed(id, 1002, [frame]) : failed(id, 1002, [text("hello"), frame, ping("")], HELLO);
  }),
);

const TWO = fragments(1, ["fragment1", "fragment2"]);
const JOINED: Reply = [1, "fragment1fragment2"];
const withPing = [TWO[0], ping("between"), TWO[1]].flatMap((spec) => spec ?? []);
const lone = (fin: boolean): FrameSpec => ({ opcode: 0, fin, payload: "nothing to continue" });
const FIVE = fragments(1, ["a", "b", "c", "d", "e"]);
const group5: Case[] = [
  failed("5.1", 1002, fragments(9, ["fragment1", "fragment2"])),
  failed("5.2", 1002, fragments(10, ["fragment1", "fragment2"])),
  ...["5.3", "5.4", "5.5"].map((id) => answered(id, TWO, JOINED)),
  ...["5.6", "5.7", "5.8"].map((id) => answered(id, withPing, [10, "between"], JOINED)),
  ...["5.9", "5.10", "5.11"].map((id) => failed(id, 1002, [lone(true), text("hello")])),
  ...["5.12", "5.13", "5.14"].map((id) => failed(id, 1002, [lone(false), text("hello")])),
  failed("5.15", 1002, [...TWO, lone(false), text("hello")], JOINED),
  failed("5.16", 1002, [lone(false), ...TWO, lone(false), ...TWO]),
  failed("5.17", 1002, [lone(true), ...TWO, lone(true), ...TWO]),
  failed(
    "5.18",
    1002,
    TWO.map((spec) => ({ ...spec, opcode: 1 })),
  ),
  ...["5.19", "5.20"].map((id): Case => ({
    id,
    steps: [
      { send: [...FIVE.slice(0, 2), ping("first")], replies: [[10, "first"]] },
      { send: [...FIVE.slice(2, 4), ping("second")], replies: [[10, "second"]] },
      { send: FIVE.slice(4), replies: [[1, "abcde"]] },
    ],
  })),
];

const MIXED = bytes("Hello-µ@ßöäüàá-UTF-8!!");
const GREEK = fromHex("cebae1bdb9cf83cebcceb5");
const SPOILT = bytes(GREEK, fromHex("eda080"), "edited");

/** A text frame's bytes up to `first` of its payload, then up to `second`, then the rest; the second step shows the fault. */
function chopped(id: string, first: Payload, second: Payload, rest: Payload): Case {
  const payload = bytes(first, second, rest);
  const [one, two] = [bytes(first).length, bytes(first, second).length];
  const inOneFrame = (from: number, to?: number): Step["send"] => [
    { opcode: 1, payload, only: to === undefined ? [from] : [from, to] },
  ];
  return {
    id,
    steps: [
      { send: inOneFrame(-Infinity, one), replies: [] },
      { send: inOneFrame(one, two), replies: [[8, "1007"]] },
      { send: inOneFrame(two), replies: [] },
    ],
    closes: 1007,
  };
}

function inFrames(id: string, first: Payload, second: Payload, rest: Payload): Case {
  const [one, two, three] = fragments(1, [first, second, rest]).map((spec) => [spec]);
  return {
    id,
    steps: [
      { send: one ?? [], replies: [] },
      { send: two ?? [], replies: [[8, "1007"]] },
      { send: three ?? [], replies: [] },
    ],
    closes: 1007,
  };
}

/** Payloads of texts in hexadecimal, in the order of the suite's numbers; a `!` marks what is not UTF-8. */
const UTF8: Readonly<Record<string, string>> = {
  "6.5": `68656c6c6f24776f726c64 68656c6c6fc2a2776f726c64 68656c6c6fe282ac776f726c64
    68656c6c6ff0a4ada2776f726c64 ${toHex(GREEK)}`,
  // Every beginning of the Greek word.
  "6.6": Array.from(GREEK, (_, index) => GREEK.slice(0, index + 1))
    .map((begin) => toHex(begin) + ([2, 5, 7, 9, 11].includes(begin.length) ? "" : "!"))
    .join(" "),
  "6.7": "00 c280 e0a080 f0908080",
  "6.8": "f888808080! fc8480808080!",
  "6.9": "7f dfbf efbfbf f48fbfbf",
  "6.10": "f7bfbfbf! fbbfbfbfbf! fdbfbfbfbfbf!",
  "6.11": "ed9fbf ee8080 efbfbd f48fbfbf f4908080!",
  "6.12": `80! bf! 80bf! 80bf80! 80bf80bf! 80bf80bf80! 80bf80bf80bf!
    ${toHex(Uint8Array.from({ length: 63 }, (_, index) => 0x80 + index))}!`,
  // Lead bytes of each length, each before a space.
  "6.13": [
    [0xc0, 0xde],
    [0xe0, 0xee],
    [0xf0, 0xf6],
    [0xf8, 0xfa],
    [0xfc, 0xfc],
  ]
    .map(([from = 0, to = 0]) =>
      Array.from({ length: to - from + 1 }, (_, i) => toHex(bytes(from + i, 0x20))),
    )
    .map((leads) => `${leads.join("")}!`)
    .join(" "),
  "6.14": "c0! e080! f08080! f8808080! fc80808080! df! efbf! f7bfbf! fbbfbfbf! fdbfbfbfbf!",
  "6.15": "c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf!",
  "6.16": "fe! ff! fefeffff!",
  "6.17": "c0af! e080af! f08080af! f8808080af! fc80808080af!",
  "6.18": "c1bf! e09fbf! f08fbfbf! f887bfbfbf! fc83bfbfbfbf!",
  "6.19": "c080! e08080! f0808080! f880808080! fc8080808080!",
  "6.20": "eda080! edadbf! edae80! edafbf! edb080! edbe80! edbfbf!",
  "6.21": ["eda080", "edadbf", "edae80", "edafbf"]
    .flatMap((high) => [`${high}edb080!`, `${high}edbfbf!`])
    .join(" "),
  // The noncharacters at the end of each plane.
  "6.22": Array.from({ length: 17 }, (_, plane) => [0xfffe, 0xffff].map((low) => plane * 0x10000 + low))
    .flat()
    .map((point) => toHex(bytes(String.fromCodePoint(point))))
    .join(" "),
  "6.23": "efbfb9 efbfba efbfbb efbfbc efbfbd efbfbe efbfbf",
};

const group6: Case[] = [
  answered("6.1.1", [text("")], [1, ""]),
  answered("6.1.2", fragments(1, ["", "", ""]), [1, ""]),
  answered("6.1.3", fragments(1, ["", "middle", ""]), [1, "middle"]),
  answered("6.2.1", [text(MIXED)], [1, MIXED]),
  answered("6.2.2", fragments(1, ["Hello-µ@ßöä", "üàá-UTF-8!!"]), [1, MIXED]),
  answered("6.2.3", fragments(1, pieces(MIXED, 1)), [1, MIXED]),
  answered("6.2.4", fragments(1, pieces(GREEK, 1)), [1, GREEK]),
  failed("6.3.1", 1007, [text(SPOILT)]),
  failed("6.3.2", 1007, fragments(1, pieces(SPOILT, 1))),
  inFrames("6.4.1", GREEK, fromHex("f4908080"), "edited"),
  inFrames("6.4.2", bytes(GREEK, 0xf4), bytes(0x90), bytes(0x80, 0x80, "edited")),
  chopped("6.4.3", GREEK, fromHex("f4908080"), "edited"),
  chopped("6.4.4", bytes(GREEK, 0xf4), bytes(0x90), ""),
  ...Object.entries(UTF8).flatMap(([section, payloads]) =>
    payloads.split(/\s+/).map((hex, index) => {
      const id = `${section}.${index + 1}`;
      if (hex.endsWith("!")) return failed(id, 1007, [text(fromHex(hex.slice(0, -1)))]);
      return answered(id, [text(fromHex(hex))], [1, fromHex(hex)]);
    }),
  ),
];

const BIG = filled(1, 256 * 1024);
const group7: Case[] = [
  closed("7.1.1", 1000, [text("hello"), close(1000)], HELLO),
  closed("7.1.2", 1000, [close(1000), close(1000)]),
  closed("7.1.3", 1000, [close(1000), ping("")]),
  closed("7.1.4", 1000, [close(1000), text("hello")]),
  closed("7.1.5", 1000, [
    { opcode: 1, fin: false, payload: "fragment1" },
    close(1000),
    { opcode: 0, payload: "fragment2" },
  ]),
  { ...closed("7.1.6", 1000, [text(BIG), close(1000), ping("")], [1, BIG]), long: true },
  closed("7.3.1", "empty", [{ opcode: 8 }]),
  failed("7.3.2", 1002, [{ opcode: 8, payload: "a" }]),
  closed("7.3.3", 1000, [close(1000)]),
  closed("7.3.4", 1000, [close(1000, "hello")]),
  closed("7.3.5", 1000, [close(1000, "*".repeat(123))]),
  failed("7.3.6", 1002, [close(1000, "*".repeat(124))]),
  failed("7.5.1", 1007, [close(1000, SPOILT)]),
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].map((code, index) =>
    closed(`7.7.${index + 1}`, code, [close(code)]),
  ),
  ...[0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].map((code, index) =>
    failed(`7.9.${index + 1}`, 1002, [close(code)]),
  ),
  ...[5000, 65535].map((code, index) => failed(`7.13.${index + 1}`, 1002, [close(code)])),
];

const KIB = 1024;
const group9: Case[] = [1, 2].flatMap((opcode): Case[] => [
  ...[4, 16, 64, 256, 512, 1024].map((size, index): Case => {
    const payload = filled(opcode, size * KIB);
    return { ...answered(`9.${opcode}.${index + 1}`, [{ opcode, payload }], [opcode, payload]), long: true };
  }),
  ...[64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB].map((size, index): Case => {
    const payload = filled(opcode, 256 * KIB);
    const id = `9.${opcode + 2}.${index + 1}`;
    return { ...answered(id, fragments(opcode, pieces(payload, size)), [opcode, payload]), long: true };
  }),
  ...[64, 128, 256, 512, 1024, 2048].map((chop, index): Case => {
    const payload = filled(opcode, 128 * KIB);
    return {
      ...answered(`9.${opcode + 4}.${index + 1}`, [{ opcode, payload }], [opcode, payload]),
      long: true,
      chop,
    };
  }),
  ...[0, 16, 64, 256, 1024, 4096].map((size, index): Case => {
    const payload = filled(opcode, size);
    const step: Step = { send: [{ opcode, payload }], replies: [[opcode, payload]] };
    return { id: `9.${opcode + 6}.${index + 1}`, steps: Array.from({ length: 100 }, () => step), long: true };
  }),
]);

const group10: Case[] = [
  { ...answered("10.1.1", fragments(1, pieces(filled(1, 65536), 1300)), [1, filled(1, 65536)]), long: true },
];

/** The bytes of a step; `only` counts from the payload's first byte. */
function wireOf(role: Role, { send }: Step): Uint8Array {
  return bytes(
    ...send.map((spec) => {
      const wire = fromPeer(role, spec);
      if (spec.only === undefined) return wire;
      const start = wire.length - (spec.payload?.length ?? 0);
      const [from, to] = spec.only;
      return wire.slice(Math.max(0, start + from), to === undefined ? undefined : start + to);
    }),
  );
}

function expectReplies(actual: readonly (readonly [number, Uint8Array])[], expected: readonly Reply[]): void {
  const show = (replies: readonly Reply[]): string[] =>
    replies.map(([opcode, payload]) => {
      const data = Buffer.from(bytes(payload));
      return `${opcode} of ${data.length}: ${data.subarray(0, 60).toString("hex")}`;
    });
  expect(show(actual)).toEqual(show(expected));
  for (const [index, [, payload]] of expected.entries())
    expect(Buffer.compare(bytes(payload), actual[index]?.[1] ?? bytes())).toBe(0);
}

function run(role: Role, { id, steps, closes, clean }: Case, chop: number): void {
  const echo = new Echo(role);
  const got: [number, Uint8Array][] = [];
  for (const step of steps) {
    echo.receive(wireOf(role, step), chop);
    const replies = echo.take();
    // A Close that comes is looked at in the end: what is before it is what was asked for.
    const closeAt = replies.findIndex(([opcode]) => opcode === 8);
    got.push(...(closeAt < 0 ? [] : replies.splice(closeAt)));
    const due = step.replies.filter(([opcode]) => opcode !== 8);
    expectReplies(replies, due);
    if (due.length < step.replies.length) expect(got).toHaveLength(1); // failed right here
  }
  if (closes === undefined) {
    expect(got).toEqual([]);
    echo.receive(wireOf(role, { send: [close(1000)], replies: [] }), chop);
    expectReplies(echo.take(), [[8, closePayload(1000)]]);
  } else {
    expect(got).toHaveLength(1);
    const payload = got[0]?.[1] ?? bytes();
    const code = payload.length === 0 ? "empty" : (payload[0] ?? 0) * 256 + (payload[1] ?? 0);
    expect([id, code]).toEqual([id, closes]);
    echo.receive(wireOf(role, { send: [close(1000)], replies: [] }), chop);
    expect(echo.take()).toEqual([]);
  }
  echo.end();
  const wasClean = closes === undefined || clean === true;
  const reported = !wasClean ? 1006 : closes === "empty" ? 1005 : (closes ?? 1000);
  expect(echo.closed).toEqual([`${reported} ${wasClean}`]);
}

const groups = { group1, group2, group3, group4, group5, group6, group7, group9, group10 };

for (const role of ROLES) {
  describe(`an echo ${role} in the public suite's cases`, () => {
    for (const cases of Object.values(groups)) {
      for (const one of cases) {
        it(one.id, () => {
          run(role, one, one.chop ?? Infinity);
          if (one.long !== true) run(role, one, 1);
        });
      }
    }
  });
}

describe("the table", () => {
  it("has all the suite's cases that are not about compression", () => {
    const counts = Object.values(groups).map((cases) => cases.length);
    expect(counts).toEqual([16, 11, 7, 10, 20, 145, 37, 54, 1]);
    const ids = Object.values(groups).flatMap((cases) => cases.map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
  });
});
