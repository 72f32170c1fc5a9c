import { describe, expect, it } from "vitest";
import type { Limits, Role, RuleName } from "../../src/index.js";
import { RULES } from "../../src/index.js";
import { framesFromPeer, fromPeer, opened, ROLES, takeFrames } from "../support/opened.js";
import type { FrameSpec } from "../support/wire.js";
import {
  bytes,
  closePayload,
  concat,
  feedings,
  frame,
  pull,
  queued,
  summarize,
  toHex,
} from "../support/wire.js";

interface Row {
  readonly name: string;
  readonly rule: RuleName;
  readonly code: number;
  /** The frame that breaks the rule. */
  readonly spec: FrameSpec;
  /** Which of its bytes shows that. */
  readonly index: number;
  /** Lawful frames before it. */
  readonly before?: readonly FrameSpec[];
  readonly limits?: Limits;
  readonly roles?: readonly Role[];
}

const BEGUN: readonly FrameSpec[] = [{ opcode: 1, fin: false, payload: "begun" }];

const rows: Row[] = [
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): Row => ({
    name: `5.2: opcode ${opcode} is reserved`,
    rule: "reserved-opcode",
    code: 1002,
    spec: { opcode, payload: "x" },
    index: 0,
  })),
  ...[3, 11].map((opcode): Row => ({
    name: `5.2: opcode ${opcode} is reserved inside a message, not final`,
    rule: "reserved-opcode",
    code: 1002,
    before: BEGUN,
    spec: { opcode, fin: false, payload: "x" },
    index: 0,
  })),
  ...[1, 2, 4, 7].flatMap((rsv) =>
    [0, 1, 2, 8, 9, 10].map((opcode): Row => ({
      name: `5.2: reserved bits ${rsv} on opcode ${opcode}`,
      rule: "reserved-bits",
      code: 1002,
      before: opcode === 0 ? BEGUN : [],
      spec: { opcode, rsv, payload: opcode === 8 ? closePayload(1000) : "x" },
      index: 0,
    })),
  ),
  ...[8, 9, 10].map((opcode): Row => ({
    name: `5.5: control frame ${opcode} is fragmented`,
    rule: "fragmented-control",
    code: 1002,
    spec: { opcode, fin: false },
    index: 0,
  })),
  ...[8, 9, 10].flatMap((opcode) =>
    [126, 65536].map((claimedLength): Row => ({
      name: `5.5: control frame ${opcode} of ${claimedLength} bytes`,
      rule: "long-control",
      code: 1002,
      spec: { opcode, claimedLength },
      index: 1,
    })),
  ),
  {
    name: "5.5.1: a Close of one byte",
    rule: "close-length",
    code: 1002,
    spec: { opcode: 8, payload: bytes(3) },
    index: 1,
  },
  ...[true, false].map((fin): Row => ({
    name: `5.4: a lone continuation, fin ${fin}`,
    rule: "lone-continuation",
    code: 1002,
    spec: { opcode: 0, fin, payload: "x" },
    index: 0,
  })),
  {
    name: "5.4: a continuation after a message that is over",
    rule: "lone-continuation",
    code: 1002,
    before: [...BEGUN, { opcode: 0, payload: "!" }],
    spec: { opcode: 0, payload: "x" },
    index: 0,
  },
  ...[1, 2].flatMap((opcode) =>
    [true, false].map((fin): Row => ({
      name: `5.4: a frame of opcode ${opcode}, fin ${fin}, inside a fragmented message`,
      rule: "interleaved-message",
      code: 1002,
      before: [...BEGUN, { opcode: 9, payload: "still here" }, { opcode: 0, fin: false }],
      spec: { opcode, fin, payload: "x" },
      index: 0,
    })),
  ),
  ...[1, 8, 9].map((opcode): Row => ({
    name: `5.1: a client's frame is not masked, opcode ${opcode}`,
    rule: "unmasked-frame",
    code: 1002,
    roles: ["server"],
    spec: { opcode, masked: false },
    index: 1,
  })),
  ...[1, 8, 9].map((opcode): Row => ({
    name: `5.1: a server's frame is masked, opcode ${opcode}`,
    rule: "masked-frame",
    code: 1002,
    roles: ["client"],
    spec: { opcode, masked: true },
    index: 1,
  })),
  ...[0, 1, 125].map((claimedLength): Row => ({
    name: `5.2: ${claimedLength} in 16 bits`,
    rule: "non-minimal-length",
    code: 1002,
    spec: { opcode: 2, claimedLength, lengthForm: 16 },
    index: 3,
  })),
  // Six zero bytes say it: whatever the last two are, 16 bits would do.
  ...[0, 125, 126, 65535].map((claimedLength): Row => ({
    name: `5.2: ${claimedLength} in 64 bits`,
    rule: "non-minimal-length",
    code: 1002,
    spec: { opcode: 2, claimedLength, lengthForm: 64 },
    index: 7,
  })),
  ...[2n ** 63n, 2n ** 63n + 5n, 2n ** 64n - 1n].map((claimedLength): Row => ({
    name: `5.2: the top bit of a 64-bit length, ${claimedLength}`,
    rule: "length-top-bit",
    code: 1002,
    spec: { opcode: 1, claimedLength },
    index: 2,
  })),
  ...(
    [
      [0, 1, 1],
      [10, 11, 1],
      [130, 131, 3],
      [300, 301, 3],
      [70000, 70001, 9],
    ] as const
  ).map(([limit, claimedLength, index]): Row => ({
    name: `10.4: a frame of ${claimedLength} bytes with a limit of ${limit}`,
    rule: "frame-limit",
    code: 1009,
    limits: { frame: limit },
    spec: { opcode: 2, fin: false, claimedLength },
    // The preface below stays within each limit.
    index,
  })),
  ...(
    [
      [10, 11, 1],
      [300, 301, 3],
      [70000, 70001, 9],
    ] as const
  ).map(([limit, claimedLength, index]): Row => ({
    name: `10.4: a message of ${claimedLength} bytes with a limit of ${limit}`,
    rule: "message-limit",
    code: 1009,
    limits: { message: limit },
    spec: { opcode: 1, claimedLength },
    index,
  })),
  {
    name: "10.4: a message over the limit with its third fragment",
    rule: "message-limit",
    code: 1009,
    limits: { message: 10 },
    before: [
      { opcode: 2, fin: false, payload: "12345" },
      { opcode: 9, payload: "pings do not count" },
      { opcode: 0, fin: false, payload: "67890" },
      { opcode: 0, fin: false },
    ],
    spec: { opcode: 0, payload: "!" },
    index: 1,
  },
  {
    name: "10.4: each message is counted anew",
    rule: "message-limit",
    code: 1009,
    limits: { message: 10 },
    before: [
      { opcode: 2, payload: "1234567890" },
      { opcode: 1, fin: false, payload: "12345" },
      { opcode: 0, payload: "67890" },
      { opcode: 2, fin: false, payload: "123456789" },
    ],
    spec: { opcode: 0, claimedLength: 2 },
    index: 1,
  },
];

/** The frames before the one that breaks the rule, which make its offset other than 0. */
function preface(row: Row, role: Role): Uint8Array {
  return framesFromPeer(role, [{ opcode: 9, payload: "abc" }, { opcode: 2 }, ...(row.before ?? [])]);
}

for (const role of ROLES) {
  describe(`a ${role} reads a header that breaks a rule of RFC 6455`, () => {
    for (const row of rows.filter(({ roles = ROLES }) => roles.includes(role))) {
      const before = preface(row, role);
      const broken = fromPeer(role, row.spec);
      const closing = {
        type: "closing",
        code: row.code,
        reason: RULES[row.rule].says,
        cause: { by: "peer", rule: row.rule, offset: before.length + row.index },
      };
      const options = row.limits === undefined ? {} : { limits: row.limits };

      it(`${row.name}: shown by byte ${row.index}, not before`, () => {
        expect(RULES[row.rule].code).toBe(row.code);
        const connection = opened(role, options);
        connection.receive(concat([before, broken.slice(0, row.index)]));
        const lawful = summarize(pull(connection));
        expect(lawful.filter(({ type }) => type === "closing")).toEqual([]);
        expect(connection.state).toBe("open");

        connection.receive(broken.slice(row.index, row.index + 1));
        expect(summarize(pull(connection))).toEqual([closing]);
        expect(connection.state).toBe("closing");
        const close = takeFrames(connection).filter(({ opcode }) => opcode !== 10);
        expect(close.map(({ opcode, fin, rsv, payload }) => [opcode, fin, rsv, toHex(payload)])).toEqual([
          [8, true, 0, toHex(closePayload(row.code, RULES[row.rule].says))],
        ]);
      });

      for (const way of [...feedings, queued]) {
        it(`${row.name}: ${way.name}, with bytes behind it`, () => {
          const reference = opened(role, options);
          reference.receive(before);
          const lawful = summarize(pull(reference));

          const connection = opened(role, options);
          const after = framesFromPeer(role, [
            { opcode: 1, payload: "too late" },
            { opcode: 8, payload: closePayload(1000) },
          ]);
          const events = way.feed(connection, concat([before, broken, after]));
          expect(summarize(events)).toEqual([...lawful, closing]);
          connection.receiveEnd();
          expect(pull(connection)).toEqual([]);
          takeFrames(connection);
          expect(summarize(pull(connection))).toEqual([
            {
              type: "closed",
              code: 1006,
              reason: "",
              clean: false,
              sent: { code: row.code, reason: RULES[row.rule].says },
              cause: closing.cause,
            },
          ]);
          expect(pull(connection)).toEqual([]);
        });
      }
    }

    it("5.2: a length that no number holds is over every limit", () => {
      const connection = opened(role, { limits: { message: Infinity } });
      connection.receive(fromPeer(role, { opcode: 2, claimedLength: 2n ** 53n }).slice(0, 10));
      expect(summarize(pull(connection))).toMatchObject([{ type: "closing", code: 1009 }]);
    });

    it("10.4: 2^53 - 1 bytes are within no limit", () => {
      const connection = opened(role, { limits: { message: Infinity }, streaming: true });
      connection.receive(fromPeer(role, { opcode: 2, claimedLength: Number.MAX_SAFE_INTEGER }));
      expect(pull(connection)).toEqual([]);
      expect(connection.state).toBe("open");
    });
  });

  describe(`a ${role} reads what is just lawful`, () => {
    const lawful: readonly (readonly [string, Limits, readonly FrameSpec[], readonly unknown[]])[] = [
      ...[0, 1, 125, 126, 127, 300, 65535, 65536].map(
        (length) =>
          [
            `5.2: ${length} bytes in the shortest form, exactly at the limits`,
            { frame: length, message: length },
            [{ opcode: 2, payload: new Uint8Array(length).fill(0x5a) }],
            [{ type: "binary", payload: "5a".repeat(length), final: true }],
          ] as const,
      ),
      [
        "10.4: fragments exactly at the message's limit and the frame's",
        { frame: 4, message: 8 },
        [
          { opcode: 1, fin: false, payload: "1234" },
          { opcode: 0, fin: false },
          { opcode: 0, payload: "5678" },
        ],
        [{ type: "text", text: "12345678", final: true }],
      ],
      [
        "5.5: a control frame of 125 bytes, longer than the limits of data",
        { frame: 1, message: 1 },
        [
          { opcode: 9, payload: "p".repeat(125) },
          { opcode: 10, payload: "q".repeat(125) },
        ],
        [
          { type: "ping", payload: "70".repeat(125) },
          { type: "pong", payload: "71".repeat(125), roundTripTime: undefined },
        ],
      ],
    ];
    for (const [name, limits, specs, expected] of lawful) {
      it(name, () => {
        const wire = framesFromPeer(role, specs);
        for (const way of wire.length > 1000 ? feedings.slice(0, 2) : [...feedings, queued]) {
          const connection = opened(role, { limits });
          expect(summarize(way.feed(connection, wire)), way.name).toEqual(expected);
          expect(connection.state).toBe("open");
        }
      });
    }
  });
}

describe("the frame builder of these tests", () => {
  it("writes RFC 6455 5.7's examples", () => {
    expect(toHex(frame({ opcode: 1, payload: "Hello" }))).toBe("810548656c6c6f");
    expect(toHex(frame({ opcode: 1, payload: "Hello", masked: true }))).toBe("818537fa213d7f9f4d5158");
    expect(toHex(frame({ opcode: 2, claimedLength: 256 }))).toBe("827e0100");
    expect(toHex(frame({ opcode: 2, claimedLength: 65536 }))).toBe("827f0000000000010000");
  });
});
