import { describe, expect, it } from "vitest";
import type { ConnectionEvent, MessageWriter, Options, Role } from "../../src/index.js";
import { PreparedMessage } from "../../src/index.js";
import { framesFromPeer, fromPeer, opened, ROLES, takeFrames } from "../support/opened.js";
import type { FrameSpec, Summary } from "../support/wire.js";
import {
  bytes,
  concat,
  feedings,
  parseFrames,
  pull,
  queued,
  summarize,
  takeAll,
  toHex,
} from "../support/wire.js";

const other = (role: Role): Role => (role === "server" ? "client" : "server");

interface Row {
  readonly name: string;
  readonly frames: readonly FrameSpec[];
  readonly events: readonly Summary[];
}

const text = (value: string): Summary => ({ type: "text", text: value, final: true });
const binary = (payload: string): Summary => ({
  type: "binary",
  payload: toHex(bytes(payload)),
  final: true,
});
const ping = (payload: string): Summary => ({ type: "ping", payload: toHex(bytes(payload)) });
const pong = (payload: string): Summary => ({
  type: "pong",
  payload: toHex(bytes(payload)),
  roundTripTime: undefined,
});

const rows: Row[] = [
  { name: "an empty text", frames: [{ opcode: 1 }], events: [text("")] },
  { name: "an empty binary message", frames: [{ opcode: 2 }], events: [binary("")] },
  {
    name: "two messages, one behind the other",
    frames: [
      { opcode: 1, payload: "a" },
      { opcode: 2, payload: "b" },
    ],
    events: [text("a"), binary("b")],
  },
  {
    name: "two fragments",
    frames: [
      { opcode: 1, fin: false, payload: "Hel" },
      { opcode: 0, payload: "lo" },
    ],
    events: [text("Hello")],
  },
  {
    name: "many fragments",
    frames: [
      { opcode: 2, fin: false, payload: "0" },
      ..."123456789".split("").map((payload) => ({ opcode: 0, fin: false, payload })),
      { opcode: 0, payload: "!" },
    ],
    events: [binary("0123456789!")],
  },
  ...[1, 2].flatMap((opcode): Row[] => {
    const message = opcode === 1 ? text : binary;
    return [
      {
        name: `a message of only empty fragments, opcode ${opcode}`,
        frames: [{ opcode, fin: false }, { opcode: 0, fin: false }, { opcode: 0 }],
        events: [message("")],
      },
      {
        name: `empty fragments before, between and behind, opcode ${opcode}`,
        frames: [
          { opcode, fin: false },
          { opcode: 0, fin: false, payload: "a" },
          { opcode: 0, fin: false },
          { opcode: 0, fin: false },
          { opcode: 0, fin: false, payload: "b" },
          { opcode: 0 },
        ],
        events: [message("ab")],
      },
      {
        name: `an empty first fragment and a whole last one, opcode ${opcode}`,
        frames: [
          { opcode, fin: false },
          { opcode: 0, payload: "a" },
        ],
        events: [message("a")],
      },
      {
        name: `one after another, each in fragments, opcode ${opcode}`,
        frames: [
          { opcode, fin: false, payload: "a" },
          { opcode: 0 },
          { opcode: 3 - opcode, fin: false, payload: "b" },
          { opcode: 0 },
          { opcode, payload: "c" },
        ],
        events: [message("a"), (opcode === 1 ? binary : text)("b"), message("c")],
      },
    ];
  }),
  {
    name: "5.5: control frames alone",
    frames: [{ opcode: 9 }, { opcode: 10 }, { opcode: 9, payload: "p".repeat(125) }],
    events: [ping(""), pong(""), ping("p".repeat(125))],
  },
];

/** 5.4: control frames may stand between any two fragments, and change no message. */
const withControlFrames: Row[] = [
  {
    name: "a ping and a pong between fragments",
    frames: [
      { opcode: 2, fin: false, payload: "a" },
      { opcode: 9, payload: "?" },
      { opcode: 10, payload: "!" },
      { opcode: 0, payload: "b" },
    ],
    events: [ping("?"), pong("!"), binary("ab")],
  },
  {
    name: "between empty fragments",
    frames: [
      { opcode: 1, fin: false },
      { opcode: 9 },
      { opcode: 0, fin: false },
      { opcode: 9 },
      { opcode: 0 },
    ],
    events: [ping(""), ping(""), text("")],
  },
];

function run(role: Role, options: Options, { frames, events }: Row): void {
  const wire = framesFromPeer(role, frames);
  const half = fromPeer(role, { opcode: 1, payload: "next" }).slice(0, -1);
  for (const way of [...feedings, queued]) {
    const connection = opened(role, options);
    expect(summarize(way.feed(connection, wire)), way.name).toEqual(events);
    expect(connection.state).toBe("open");
    // What follows is read from its first byte, and not told before its last.
    const again = opened(role, options);
    const told = summarize(way.feed(again, concat([wire, half])));
    expect(told.filter((event) => !("final" in event) || event.final)).toEqual(events);
  }
}

for (const role of ROLES) {
  describe(`a ${role} reads messages (RFC 6455 5.4)`, () => {
    for (const row of [...rows, ...withControlFrames]) {
      it(row.name, () => run(role, {}, row));
      it(`${row.name}, text as bytes`, () => run(role, { text: "bytes" }, row));
    }
    for (const row of rows) it(`${row.name}, streaming`, () => run(role, { streaming: true }, row));

    it("streaming: a control frame comes between the pieces, where it stood", () => {
      const wire = framesFromPeer(role, withControlFrames[0]?.frames ?? []);
      for (const way of [...feedings, queued]) {
        expect(summarize(way.feed(opened(role, { streaming: true }), wire))).toEqual([
          { type: "binary", payload: "61", final: false },
          ping("?"),
          pong("!"),
          { type: "binary", payload: "62", final: true },
        ]);
      }
    });

    it("streaming: what arrived is told at once, no piece is empty but the last", () => {
      const wire = framesFromPeer(role, [
        { opcode: 2, fin: false, payload: "abc" },
        { opcode: 0, fin: false },
        { opcode: 0, payload: "" },
      ]);
      const connection = opened(role, { streaming: true });
      const told: string[] = [];
      for (const byte of wire) {
        connection.receive(bytes(byte));
        for (const event of pull(connection))
          if (event.type === "binary") told.push(`${toHex(event.payload)} ${event.final}`);
      }
      expect(told).toEqual(["61 false", "62 false", "63 false", " true"]);
    });

    // A message that comes in chunks is gathered in one of several ways: by their sizes, and by its own.
    for (const length of [1, 2, 16, 33, 64, 65, 100, 128, 255, 256, 2048, 2049, 16_384, 16_385, 70_000]) {
      it(`messages of ${length} bytes in chunks of any size`, () => {
        const payload = Uint8Array.from({ length }, (_, i) => 0x20 + ((i * 7) % 0x5f));
        for (const opcode of [1, 2]) {
          const wire = framesFromPeer(role, [
            { opcode, payload },
            { opcode, payload },
          ]);
          for (const size of [1, 7, 31, 32, 33, 40, 63, 255, 256, 1460]) {
            const connection = opened(role);
            const payloads: string[] = [];
            for (let at = 0; at < wire.length; at += size) {
              connection.receive(wire.slice(at, at + size), at % 3 === 0);
              for (const event of pull(connection))
                if ("payload" in event) payloads.push(toHex(event.payload));
            }
            expect(payloads).toEqual([toHex(payload), toHex(payload)]);
          }
        }
      });
    }

    for (const sizes of [
      [20, 44],
      [64, 0],
      [0, 64],
      [40, 30],
      [0, 30],
      [63, 1],
      [65, 1],
      [30, 98],
    ]) {
      it(`fragments of ${sizes.join(" and ")} bytes, the last in two chunks`, () => {
        const payload = Uint8Array.from({ length: 128 }, (_, i) => 0x20 + (i % 0x5f));
        const [first = 0, second = 0] = sizes;
        const wire = framesFromPeer(role, [
          { opcode: 2, fin: false, payload: payload.subarray(0, first) },
          { opcode: 0, payload: payload.subarray(first, first + second) },
        ]);
        const connection = opened(role);
        const told: ConnectionEvent[] = [];
        for (const cut of [-Infinity, -5, -1]) {
          for (const part of [wire.slice(0, cut), wire.slice(cut)]) {
            connection.receive(part, true);
            told.push(...pull(connection));
          }
        }
        const payloads = told.map((event) => "payload" in event && toHex(event.payload));
        expect(payloads).toEqual(Array(3).fill(toHex(payload.subarray(0, first + second))));
      });
    }

    // What is gathered grows while pieces are copied, and pieces that stay where they are stand between.
    for (const sizes of [
      [63, 63, 3],
      [64, 64, 1],
      [31, 32, 33, 63, 64, 65],
      [127, 1, 1],
      [128, 128, 128],
      [100, 200, 300, 600, 1200, 2400],
      [10, 300, 10, 300, 10],
      [300, 10, 300, 120, 300, 9],
      [40_000, 30_000, 5, 60_000, 70],
      Array<number>(700).fill(100),
    ]) {
      it(`${sizes.length} fragments of ${sizes.slice(0, 6).join(", ")} bytes`, () => {
        const size = sizes.reduce((sum, length) => sum + length, 0);
        for (const opcode of [1, 2]) {
          const payloads = [0x20, 0x30].map((base) =>
            Uint8Array.from({ length: size }, (_, i) => base + (i % 0x4f)),
          );
          const frames = payloads.map((payload) => {
            let end = 0;
            return sizes.map((length, i) => {
              const start = end;
              end += length;
              const part = payload.subarray(start, end);
              const place = { opcode: i === 0 ? opcode : 0, fin: i === sizes.length - 1 };
              return framesFromPeer(role, [{ ...place, payload: part }]);
            });
          });
          // In one chunk, each fragment in a chunk of its own, and each cut in two.
          const whole = [concat(frames.flat())];
          const each = frames.flat();
          const cut = each.flatMap((frame) => [frame.slice(0, -40), frame.slice(-40)]);
          for (const chunks of [whole, each, cut]) {
            const connection = opened(role);
            const told = chunks.flatMap((chunk) => {
              connection.receive(chunk.slice(), true);
              return pull(connection);
            });
            expect(told.map(({ type }) => type)).toEqual(Array(2).fill(opcode === 1 ? "text" : "binary"));
            const got = told.map((event) => "payload" in event && toHex(event.payload));
            expect(got).toEqual(payloads.map((payload) => toHex(payload)));
          }
        }
      });
    }

    it("no two payloads are in one array, be they empty", () => {
      const wire = framesFromPeer(role, [
        { opcode: 2, fin: false },
        { opcode: 0, payload: "" },
      ]);
      const connection = opened(role);
      connection.receive(concat([wire, wire]));
      const [one, other] = pull(connection).map((event) => "payload" in event && event.payload);
      expect(one).toEqual(new Uint8Array(0));
      expect(one).not.toBe(other);
    });

    it("limits hold behind a message that came in two chunks", () => {
      for (const opcode of [1, 2]) {
        const connection = opened(role, { limits: { message: 300 } });
        const wire = framesFromPeer(role, [
          { opcode, payload: new Uint8Array(300) },
          { opcode, payload: new Uint8Array(301) },
        ]);
        connection.receive(wire.slice(0, 100), true);
        expect(pull(connection)).toEqual([]);
        connection.receive(wire.slice(100), true);
        expect(pull(connection)).toMatchObject([
          { type: opcode === 1 ? "text" : "binary" },
          { type: "closing", code: 1009, cause: { rule: "message-limit" } },
        ]);
      }
    });

    it("limits hold for messages that lie in their chunk", () => {
      for (const limit of [5, 125, 126, 300, 65_535]) {
        for (const limits of [{ frame: limit }, { message: limit }]) {
          for (const opcode of [1, 2]) {
            const connection = opened(role, { limits });
            const allowed = fromPeer(role, { opcode, payload: new Uint8Array(limit) });
            const tooLong = fromPeer(role, { opcode, payload: new Uint8Array(limit + 1) });
            connection.receive(concat([allowed, tooLong]), true);
            const rule = "frame" in limits ? "frame-limit" : "message-limit";
            const size = limit < 125 ? 2 : limit < 65_535 ? 4 : 10;
            const offset = allowed.length + size - 1; // of the length's last byte
            expect(pull(connection)).toMatchObject([
              { type: opcode === 1 ? "text" : "binary" },
              { type: "closing", code: 1009, cause: { rule, offset } },
            ]);
          }
        }
      }
    });

    it("a text whose payload comes in a chunk of its own", () => {
      for (const size of [1, 100, 2000, 70_000]) {
        for (const end of ["z", "é", "\u{1f600}"]) {
          const payload = bytes("a".repeat(size), end);
          const connection = opened(role);
          const wire = framesFromPeer(role, [
            { opcode: 1, payload },
            { opcode: 1, payload: bytes(payload.subarray(1), Uint8Array.of(0x80)) },
          ]);
          const second = wire.length / 2;
          const header = second - payload.length;
          const cuts = [0, header, second, second + header, wire.length];
          const events = cuts.slice(1).flatMap((cut, index) => {
            connection.receive(wire.slice(cuts[index], cut));
            return pull(connection);
          });
          expect(events[0]).toMatchObject({ type: "text", text: "a".repeat(size) + end });
          expect(events[1]).toMatchObject({
            type: "closing",
            code: 1007,
            cause: { offset: wire.length - 1 },
          });
        }
      }
    });

    // Its bytes are stored where they show nothing, and looked at where they do.
    for (const [name, spec] of [
      ["of 5 bytes", { opcode: 2, payload: "12345" }],
      ["of 200 bytes", { opcode: 1, payload: "x".repeat(200) }],
      ["of 65,536 bytes", { opcode: 2, payload: new Uint8Array(65_536) }],
      ["with 100 bytes in two bytes of length", { opcode: 2, lengthForm: 16, payload: "x".repeat(100) }],
      ["with 1000 bytes in eight bytes of length", { opcode: 2, lengthForm: 64, payload: "x".repeat(1000) }],
      ["over the limit", { opcode: 2, claimedLength: 200_000 }],
      ["with the length's top bit set", { opcode: 2, claimedLength: 2n ** 63n }],
    ] as const satisfies readonly (readonly [string, FrameSpec])[]) {
      it(`a frame ${name} whose header is cut anywhere, whether it is looked at between the cuts or not`, () => {
        const limits = { message: 100_000 };
        const before = fromPeer(role, { opcode: 9, payload: "before" });
        const wire = concat([before, fromPeer(role, spec), fromPeer(role, { opcode: 1, rsv: 2 })]);
        const whole = opened(role, { limits });
        whole.receive(wire);
        // One string, as there are many to be compared.
        const told = (events: readonly ConnectionEvent[]): string =>
          JSON.stringify(
            events.map((event) =>
              event.type === "closing" ? summarize([event]) : [event.type, "size" in event && event.size],
            ),
          );
        const expected = told(pull(whole));
        const end = before.length + (role === "server" ? 14 : 10);
        for (let first = before.length; first <= end; first++) {
          for (let second = first; second <= end; second++) {
            for (let third = second; third <= end; third++) {
              for (const looks of [0, 1, 2, 3]) {
                const connection = opened(role, { limits });
                connection.receive(wire.subarray(0, first));
                const events = (looks & 1) === 0 ? [] : pull(connection);
                connection.receive(wire.subarray(first, second));
                if ((looks & 2) !== 0) events.push(...pull(connection));
                connection.receive(wire.subarray(second, third));
                connection.receive(wire.subarray(third));
                events.push(...pull(connection));
                if (told(events) !== expected) expect(told(events)).toBe(expected);
              }
            }
          }
        }
      });
    }

    it("who stops pulling stops the peer, inside a message and in chunks of a few bytes, too", () => {
      for (const [chunk, opcode] of [1, 31, 32, 1000].flatMap((size) => [
        [size, 1] as const,
        [size, 2] as const,
      ])) {
        const connection = opened(role, { highWaterMark: 5_000 });
        const payload = new Uint8Array(1);
        const key = [1, 2, 3, 4] as const; // what follows is ASCII with it
        connection.receive(fromPeer(role, { opcode, payload, key, claimedLength: 16_000, lengthForm: 16 }));
        expect(pull(connection)).toEqual([]);
        let received = 0;
        for (; connection.wantsInput && received < 15_000; received += chunk) {
          connection.receive(new Uint8Array(chunk));
        }
        expect(received).toBeGreaterThanOrEqual(5_000);
        expect(received).toBeLessThan(5_000 + 2 * chunk);
        pull(connection);
        expect(connection.wantsInput).toBe(true);
        expect(connection.state).toBe("open");
      }
    });

    it("payloads stay as they are for ever, owned or not, whatever comes after", () => {
      for (const owned of [true, false]) {
        const connection = opened(role);
        const kept: [event: ConnectionEvent, payload: string][] = [];
        for (let i = 0; i < 200; i++) {
          const payload = String(i).repeat(1 + (i % 40));
          const wire = fromPeer(role, { opcode: i % 4 === 3 ? 9 : 2, payload });
          const cut = i % wire.length;
          const parts = [wire.slice(0, cut), wire.slice(cut)];
          for (const part of parts) {
            connection.receive(part, owned);
            if (!owned) part.fill(0);
            for (const event of pull(connection)) kept.push([event, payload]);
          }
        }
        expect(kept).toHaveLength(200);
        for (const [event, payload] of kept)
          expect("payload" in event && Buffer.from(event.payload).toString()).toBe(payload);
      }
    });

    it("events() tells what is there, and leaving it closes nothing", () => {
      const connection = opened(role);
      connection.receive(
        framesFromPeer(role, [
          { opcode: 1, payload: "a" },
          { opcode: 1, payload: "b" },
        ]),
      );
      for (const event of connection.events()) {
        expect(event).toMatchObject({ type: "text", text: "a" });
        break;
      }
      expect([...connection.events()]).toMatchObject([{ text: "b" }]);
      expect(connection.state).toBe("open");
    });

    it("a binary message tells its size without its bytes", () => {
      for (const length of [0, 1, 300]) {
        const connection = opened(role);
        connection.receive(fromPeer(role, { opcode: 2, payload: new Uint8Array(length) }));
        const event = connection.nextEvent();
        const sizes = event?.type === "binary" ? [event.size, event.payload.length, event.size] : [];
        expect(sizes).toEqual([length, length, length]);
      }
    });

    it("data is what a peer's send takes to send the same", () => {
      const connection = opened(role);
      connection.receive(
        framesFromPeer(role, [
          { opcode: 1, payload: "é" },
          { opcode: 2, payload: "b" },
        ]),
      );
      const data = pull(connection).map((event) => "data" in event && event.data);
      expect(data).toEqual(["é", bytes("b")]);
    });
  });

  interface Written {
    readonly name: string;
    readonly kind: "text" | "binary";
    readonly run: (writer: MessageWriter) => void;
    /** What is sent: opcode, fin, payload in hexadecimal. */
    readonly frames: readonly (readonly [opcode: number, fin: boolean, payload: string])[];
  }

  const written: Written[] = [
    {
      name: "parts and an end",
      kind: "text",
      run: (w) => {
        expect(w.write("a")).toBe(true);
        expect(w.write("b")).toBe(true);
        expect(w.end("c")).toBe(true);
      },
      frames: [
        [1, false, "61"],
        [0, false, "62"],
        [0, true, "63"],
      ],
    },
    { name: "an end without parts", kind: "text", run: (w) => w.end(), frames: [[1, true, ""]] },
    { name: "an end without parts, binary", kind: "binary", run: (w) => w.end(), frames: [[2, true, ""]] },
    {
      name: "an end with the only part",
      kind: "binary",
      run: (w) => w.end(bytes(1, 2)),
      frames: [[2, true, "0102"]],
    },
    {
      name: "empty parts send nothing",
      kind: "binary",
      run: (w) => {
        expect(w.write(bytes())).toBe(true);
        w.write(bytes(7));
        w.write(bytes());
        w.end();
      },
      frames: [
        [2, false, "07"],
        [0, true, ""],
      ],
    },
    {
      name: "8.1: a pair split over two parts joins",
      kind: "text",
      run: (w) => {
        w.write("a\ud83d");
        w.write("\ude00b");
        w.end();
      },
      frames: [
        [1, false, "61"],
        [0, false, "f09f988062"],
        [0, true, ""],
      ],
    },
    {
      name: "8.1: a pair split over a part and the end",
      kind: "text",
      run: (w) => {
        w.write("\ud83d");
        w.end("\ude00");
      },
      frames: [[1, true, "f09f9880"]],
    },
    {
      name: "8.1: a pair split with an empty part between",
      kind: "text",
      run: (w) => {
        w.write("\ud83d");
        w.write("");
        w.end("\ude00");
      },
      frames: [[1, true, "f09f9880"]],
    },
    {
      name: "8.1: a pair split with empty bytes between, which send nothing",
      kind: "text",
      run: (w) => {
        w.write("\ud83d");
        w.write(bytes());
        w.end("\ude00");
      },
      frames: [[1, true, "f09f9880"]],
    },
    {
      name: "8.1: half a pair that stays alone is U+FFFD, at the end",
      kind: "text",
      run: (w) => {
        w.write("a\ud83d");
        w.end();
      },
      frames: [
        [1, false, "61"],
        [0, true, "efbfbd"],
      ],
    },
    {
      name: "8.1: half a pair that stays alone is U+FFFD, before another string",
      kind: "text",
      run: (w) => {
        w.write("\ud83d");
        w.end("x");
      },
      frames: [[1, true, "efbfbd78"]],
    },
    {
      name: "8.1: half a pair that stays alone is U+FFFD, before bytes",
      kind: "text",
      run: (w) => {
        w.write("\ud83d");
        w.end(bytes("x"));
      },
      frames: [
        [1, false, "efbfbd"],
        [0, true, "78"],
      ],
    },
    {
      name: "8.1: two high halves, and a low one",
      kind: "text",
      run: (w) => {
        w.write("\ud83d\ud83d");
        w.end("\ude00");
      },
      frames: [
        [1, false, "efbfbd"],
        [0, true, "f09f9880"],
      ],
    },
    {
      name: "a text in bytes, cut inside a code point",
      kind: "text",
      run: (w) => {
        w.write(bytes(0xe2));
        w.write(bytes());
        w.write(bytes(0x82));
        w.end(bytes(0xac));
      },
      frames: [
        [1, false, "e2"],
        [0, false, "82"],
        [0, true, "ac"],
      ],
    },
    {
      name: "a text in strings and in bytes",
      kind: "text",
      run: (w) => {
        w.write("a");
        w.write(bytes("é"));
        w.end("€");
      },
      frames: [
        [1, false, "61"],
        [0, false, "c3a9"],
        [0, true, "e282ac"],
      ],
    },
    {
      name: "it goes on after a part that could not be sent",
      kind: "text",
      run: (w) => {
        w.write("a");
        expect(() => w.write(bytes(0xff))).toThrow(/UTF-8/);
        expect(() => w.end(bytes(0xc3))).toThrow(/UTF-8/);
        w.end("b");
      },
      frames: [
        [1, false, "61"],
        [0, true, "62"],
      ],
    },
  ];

  describe(`a ${role} sends messages (RFC 6455 5.4)`, () => {
    for (const { name, kind, run, frames } of written) {
      it(`in fragments: ${name}`, () => {
        const connection = opened(role);
        run(connection.startMessage(kind));
        const wire = takeAll(connection);
        expect(
          parseFrames(wire).map(({ opcode, fin, payload, masked }) => [opcode, fin, toHex(payload), masked]),
        ).toEqual(frames.map((expected) => [...expected, role === "client"]));
        // Our own other side reads one message of it.
        const reader = opened(other(role));
        reader.receive(wire);
        expect(summarize(pull(reader))).toMatchObject([{ type: kind, final: true }]);
        expect(connection.sendText("another may follow")).toBe(true);
      });
    }

    it("control frames, and the answer to a ping, go between the fragments", () => {
      const connection = opened(role);
      const writer = connection.startMessage("binary");
      writer.write(bytes(1));
      connection.ping(bytes(2));
      connection.receive(fromPeer(role, { opcode: 9, payload: bytes(3) }));
      pull(connection);
      connection.pong(bytes(4));
      writer.end(bytes(5));
      expect(takeFrames(connection).map(({ opcode, fin, payload }) => [opcode, fin, toHex(payload)])).toEqual(
        [
          [2, false, "01"],
          [9, true, "02"],
          [10, true, "03"],
          [10, true, "04"],
          [0, true, "05"],
        ],
      );
    });

    it("a writer is inert once the connection failed, was lost, or was never to be had", () => {
      const failed = opened(role);
      const first = failed.startMessage("text");
      first.write("a");
      failed.receive(fromPeer(role, { opcode: 3 }));
      pull(failed);
      expect([first.write("b"), first.end("c")]).toEqual([false, false]);
      expect(takeFrames(failed).map(({ opcode }) => opcode)).toEqual([1, 8]);

      const lost = opened(role);
      const second = lost.startMessage("text");
      second.write("a");
      lost.transportLost();
      expect([second.write("b"), second.end("c")]).toEqual([false, false]);
      expect(lost.outputSize).toBe(0);

      const closing = opened(role);
      closing.close(1000);
      takeFrames(closing);
      const third = closing.startMessage("binary");
      expect([third.write(bytes(1)), third.end(bytes(2))]).toEqual([false, false]);
      expect(closing.outputSize).toBe(0);
    });

    for (const [name, message, opcode, payload] of [
      ["an empty text", "", 1, ""],
      ["a text", "é€😀", 1, "é€😀"],
      ["a text with a lone surrogate", "a\ud83d", 1, "a\ufffd"],
      ["a text of 126 bytes", "x".repeat(126), 1, "x".repeat(126)],
      ["a text of 70000 bytes", "x".repeat(70_000), 1, "x".repeat(70_000)],
      ["an empty binary message", bytes(), 2, ""],
      ["bytes", bytes("abc"), 2, "abc"],
      ["5000 bytes", bytes("y".repeat(5000)), 2, "y".repeat(5000)],
    ] as const) {
      it(`prepared for many: ${name}`, () => {
        const prepared = new PreparedMessage(message);
        const [one, two] = [opened(role), opened(role)];
        for (const connection of [one, two, one]) expect(connection.sendPrepared(prepared)).toBe(true);
        expect(one.outputSize).toBeGreaterThan(two.outputSize);
        for (const [connection, count] of [
          [one, 2],
          [two, 1],
        ] as const) {
          const frames = takeFrames(connection);
          expect(frames).toHaveLength(count);
          for (const frame of frames) {
            expect([frame.opcode, frame.fin]).toEqual([opcode, true]);
            expect(Buffer.from(frame.payload).toString()).toBe(payload);
          }
        }
        // The frame itself is never masked in place.
        expect(parseFrames(prepared.frame)).toMatchObject([{ masked: false, opcode }]);
        expect(Buffer.from(prepared.payload).toString()).toBe(payload);
      });
    }

    it("prepared bytes are copied: they may change afterwards", () => {
      const data = bytes("before");
      const prepared = new PreparedMessage(data);
      data.fill(0);
      expect(Buffer.from(prepared.payload).toString()).toBe("before");
    });

    it("a prepared message is false where it is too late", () => {
      const connection = opened(role);
      connection.close();
      expect(connection.sendPrepared(new PreparedMessage("x"))).toBe(false);
      expect(takeFrames(connection).map(({ opcode }) => opcode)).toEqual([8]);
    });

    it("a message that is not over shares no buffer with one that was handed over: that may be transferred", () => {
      const [one, another, ...others] = Array.from({ length: 100 }, () => opened(role));
      if (one === undefined || another === undefined) throw new Error("there are no connections");
      const half = "h".repeat(100);
      for (const connection of [one, another, ...others]) {
        connection.receive(fromPeer(role, { opcode: 2, fin: false, payload: half }));
        expect(pull(connection)).toEqual([]);
      }
      one.receive(fromPeer(role, { opcode: 0, payload: half }));
      const [told] = pull(one);
      if (told?.type !== "binary") throw new Error("there was no message");
      const { buffer } = told.payload;
      structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
      another.receive(fromPeer(role, { opcode: 0, payload: half }));
      const [whole] = pull(another);
      expect(whole?.type === "binary" && Buffer.from(whole.payload).toString()).toBe(half + half);
    });

    it("what our other side reads is what was sent, at every length's edge", () => {
      const connection = opened(role);
      const reader = opened(other(role));
      for (const length of [0, 1, 125, 126, 4095, 4096, 65535, 65536]) {
        const payload = new Uint8Array(length).fill(length & 0xff);
        const value = "é".repeat(length / 2);
        connection.sendBinary(payload);
        connection.sendText(value);
        connection.sendText(bytes(value));
        reader.receive(takeAll(connection));
        const [first, second, third] = pull(reader);
        expect(first?.type === "binary" && Buffer.compare(first.payload, payload)).toBe(0);
        expect(second?.type === "text" && second.text === value).toBe(true);
        expect(third?.type === "text" && third.text === value).toBe(true);
      }
    });
  });
}
