import { describe, expect, it } from "vitest";
import type {
  Connection,
  MessageWriter,
  Options,
  PreparedMessage,
  Role,
  UsageCode,
} from "../../src/index.js";
import {
  ClientConnection,
  Connection as OpenConnection,
  FrameWriter,
  permessageDeflate,
  PreparedMessage as Prepared,
  ServerConnection,
  Settings,
  UsageError,
} from "../../src/index.js";
import { fromPeer, opened, repeatable, ROLES, takeFrames } from "../support/opened.js";
import { snapshot } from "../support/snapshot.js";
import { INVALID, VALID } from "../../src/conformance/utf8.js";
import { bytes, fromHex, pull, takeAll } from "../support/wire.js";

/** What the types forbid, for callers without them. */
function wrong(value: unknown): never {
  return value as never;
}

function mistake(act: () => unknown): UsageError {
  try {
    act();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

interface Row {
  readonly name: string;
  readonly code: UsageCode;
  readonly act: (connection: Connection) => unknown;
}

const NO_BYTES_AT_ALL: readonly (readonly [name: string, value: unknown])[] = [
  ["a string", "text"],
  ["a number", 5],
  ["null", null],
  ["an array", [1, 2]],
  ["an ArrayBuffer", new ArrayBuffer(4)],
  ["a Uint16Array", new Uint16Array(4)],
  ["a DataView", new DataView(new ArrayBuffer(4))],
  ["an object", { length: 3 }],
  ["an object without a prototype", Object.create(null)],
];

const rows: Row[] = [
  ...NO_BYTES_AT_ALL.flatMap(([name, value]): Row[] => [
    { name: `receive of ${name}`, code: "bad-argument", act: (c) => c.receive(wrong(value)) },
    { name: `sendBinary of ${name}`, code: "bad-argument", act: (c) => c.sendBinary(wrong(value)) },
    { name: `ping of ${name}`, code: "bad-argument", act: (c) => c.ping(wrong(value)) },
    { name: `pong of ${name}`, code: "bad-argument", act: (c) => c.pong(wrong(value)) },
  ]),
  ...NO_BYTES_AT_ALL.filter(([, value]) => typeof value !== "string").flatMap(([name, value]): Row[] => [
    { name: `sendText of ${name}`, code: "bad-argument", act: (c) => c.sendText(wrong(value)) },
    { name: `sendPrepared of ${name}`, code: "bad-argument", act: (c) => c.sendPrepared(wrong(value)) },
  ]),
  { name: "receive of nothing", code: "bad-argument", act: (c) => c.receive(wrong(undefined)) },
  { name: "sendText of nothing", code: "bad-argument", act: (c) => c.sendText(wrong(undefined)) },
  { name: "sendBinary of nothing", code: "bad-argument", act: (c) => c.sendBinary(wrong(undefined)) },
  { name: "5.5: ping of 126 bytes", code: "payload-too-long", act: (c) => c.ping(new Uint8Array(126)) },
  { name: "5.5: pong of 126 bytes", code: "payload-too-long", act: (c) => c.pong(new Uint8Array(126)) },
  { name: "startMessage of another kind", code: "bad-argument", act: (c) => c.startMessage(wrong("blob")) },
  { name: "startMessage of nothing", code: "bad-argument", act: (c) => c.startMessage(wrong(undefined)) },
  ...[0, -1, -0, NaN, -Infinity, 0.5, 1.5, null, "all", true].map((max): Row => ({
    name: `takeOutput of at most ${String(max)}`,
    code: "bad-argument",
    act: (c) => c.takeOutput(wrong(max)),
  })),
  { name: "7.4: close with 1005", code: "bad-close-code", act: (c) => c.close(1005) },
  { name: "7.4: close with 1006", code: "bad-close-code", act: (c) => c.close(1006) },
  { name: "close with a reason alone", code: "bad-reason", act: (c) => c.close(undefined, "why") },
  { name: "close with a long reason", code: "bad-reason", act: (c) => c.close(1000, "x".repeat(124)) },
  ...INVALID.map(([name, hex]): Row => ({
    name: `5.6: sendText of bytes that are not UTF-8, ${name}`,
    code: "bad-text",
    act: (c) => c.sendText(fromHex(hex)),
  })),
];

/** Mistakes while a message is being sent in fragments. */
const insideMessage: Row[] = [
  { name: "sendText", code: "bad-state", act: (c) => c.sendText("x") },
  { name: "sendText of bytes", code: "bad-state", act: (c) => c.sendText(bytes("x")) },
  { name: "sendBinary", code: "bad-state", act: (c) => c.sendBinary(bytes(1)) },
  { name: "sendPrepared", code: "bad-state", act: (c) => c.sendPrepared(new Prepared("x")) },
  { name: "startMessage", code: "bad-state", act: (c) => c.startMessage("binary") },
];

/** Mistakes before `open`. */
const beforeOpen: Row[] = [
  ...insideMessage,
  { name: "ping", code: "bad-state", act: (c) => c.ping() },
  { name: "pong", code: "bad-state", act: (c) => c.pong() },
];

const writing: readonly {
  readonly name: string;
  readonly kind: "text" | "binary";
  readonly code: UsageCode;
  readonly before?: readonly (string | Uint8Array)[];
  readonly act: (writer: MessageWriter) => unknown;
}[] = [
  { name: "a string in a binary message", kind: "binary", code: "bad-argument", act: (w) => w.write("x") },
  {
    name: "a string at a binary message's end",
    kind: "binary",
    code: "bad-argument",
    act: (w) => w.end("x"),
  },
  {
    name: "an empty string in a binary message",
    kind: "binary",
    code: "bad-argument",
    act: (w) => w.write(""),
  },
  { name: "a number", kind: "text", code: "bad-argument", act: (w) => w.write(wrong(5)) },
  { name: "null", kind: "binary", code: "bad-argument", act: (w) => w.end(wrong(null)) },
  { name: "nothing", kind: "text", code: "bad-argument", act: (w) => w.write(wrong(undefined)) },
  { name: "bytes that are not UTF-8", kind: "text", code: "bad-text", act: (w) => w.write(bytes(0xff)) },
  {
    name: "bytes that do not continue the bytes before",
    kind: "text",
    code: "bad-text",
    before: [bytes(0xe2, 0x82)],
    act: (w) => w.write(bytes(0x41)),
  },
  {
    name: "a string inside a code point of bytes",
    kind: "text",
    code: "bad-text",
    before: [bytes(0xe2, 0x82)],
    act: (w) => w.write("x"),
  },
  {
    name: "an end inside a code point of bytes",
    kind: "text",
    code: "bad-text",
    before: [bytes(0xe2, 0x82)],
    act: (w) => w.end(),
  },
  {
    name: "a last part cut inside a code point",
    kind: "text",
    code: "bad-text",
    act: (w) => w.end(bytes(0xc3)),
  },
  {
    name: "bytes that are not UTF-8 behind half a pair",
    kind: "text",
    code: "bad-text",
    before: ["\ud83d"],
    act: (w) => w.write(bytes(0xff)),
  },
];

function expectHarmless(connection: Connection, code: UsageCode, act: () => unknown): void {
  const before = snapshot(connection);
  const size = connection.outputSize;
  const error = mistake(act);
  expect(error.code).toBe(code);
  expect(error.name).toBe("UsageError");
  expect(error.message.length).toBeGreaterThan(20);
  expect(connection.outputSize).toBe(size);
  expect(snapshot(connection)).toBe(before);
}

for (const role of ROLES) {
  describe(`a mistake of a ${role}'s caller throws and changes nothing`, () => {
    for (const { name, code, act } of rows) {
      it(name, () => {
        for (const queued of [false, true]) {
          const connection = opened(role);
          if (queued) connection.sendText("queued");
          expectHarmless(connection, code, () => act(connection));
          // It goes on as if nothing had been.
          expect(connection.sendText("next")).toBe(true);
          expect(takeFrames(connection).map(({ payload }) => Buffer.from(payload).toString())).toEqual([
            ...(queued ? ["queued"] : []),
            "next",
          ]);
        }
      });
    }

    for (const { name, code, act } of insideMessage) {
      it(`5.4: ${name} inside a fragmented message`, () => {
        const connection = opened(role);
        const writer = connection.startMessage("text");
        expectHarmless(connection, code, () => act(connection));
        writer.write("a");
        expectHarmless(connection, code, () => act(connection));
        // Control frames may go in between (5.4).
        expect(connection.ping()).toBe(true);
        expect(connection.pong()).toBe(true);
        expect(writer.end("b")).toBe(true);
        expect(connection.sendText("next")).toBe(true);
        expect(takeFrames(connection).map(({ opcode, fin }) => [opcode, fin])).toEqual([
          [1, false],
          [9, true],
          [10, true],
          [0, true],
          [1, true],
        ]);
      });
    }

    for (const { name, kind, code, before = [], act } of writing) {
      it(`a part that cannot be sent: ${name}`, () => {
        const connection = opened(role);
        const writer = connection.startMessage(kind);
        for (const part of before) writer.write(part);
        const known = snapshot(writer);
        expectHarmless(connection, code, () => act(writer));
        expect(snapshot(writer)).toBe(known);
      });
    }

    it("a part after the end", () => {
      const connection = opened(role);
      const writer = connection.startMessage("text");
      writer.end("x");
      for (const act of [() => writer.write("y"), () => writer.end(), () => writer.end("y")])
        expectHarmless(connection, "bad-state", act);
    });

    it("a part after the end, too late anyway", () => {
      const connection = opened(role);
      const writer = connection.startMessage("text");
      connection.close(1000);
      expect(writer.end("x")).toBe(false);
      expectHarmless(connection, "bad-state", () => writer.write("y"));
    });

    for (const [where, before] of [
      ["between two messages", bytes()],
      ["inside a header", fromPeer(role, { opcode: 1, payload: "life" }).slice(0, 1)],
      ["inside a longer one", fromPeer(role, { opcode: 1, payload: "x".repeat(200) }).slice(0, 2)],
      ["inside a payload", fromPeer(role, { opcode: 1, payload: "life" }).slice(0, -3)],
    ] as const) {
      it(`bytes after receiveEnd() ${where}`, () => {
        const connection = opened(role);
        connection.receive(before);
        expect(pull(connection)).toEqual([]);
        connection.receiveEnd();
        expectHarmless(connection, "bad-state", () => connection.receive(bytes(0x81)));
        expect(pull(connection)).toMatchObject([{ type: "closed" }]);
      });
    }

    it("a bad argument throws also where it is too late", () => {
      const connection = opened(role);
      connection.close(1000);
      for (const { code, act } of rows) expect(mistake(() => act(connection)).code).toBe(code);
    });
  });

  describe(`a ${role}'s caller may`, () => {
    for (const [name, hex] of VALID) {
      it(`send bytes as a text that are UTF-8: ${name}`, () => {
        const connection = opened(role);
        expect(connection.sendText(fromHex(hex))).toBe(true);
        expect(takeFrames(connection)).toMatchObject([{ opcode: 1, payload: fromHex(hex) }]);
      });
    }

    it("send a Buffer where bytes are due", () => {
      const connection = opened(role);
      expect(connection.sendBinary(Buffer.from("abc"))).toBe(true);
      expect(takeFrames(connection)).toMatchObject([{ opcode: 2, payload: bytes("abc") }]);
    });

    it("ping and pong with 125 bytes", () => {
      const connection = opened(role);
      expect(connection.ping(new Uint8Array(125))).toBe(true);
      expect(connection.pong(new Uint8Array(125))).toBe(true);
      expect(takeFrames(connection).map(({ payload }) => payload.length)).toEqual([125, 125]);
    });
  });
}

describe("before open", () => {
  const make: Readonly<Record<Role, () => Connection>> = {
    server: () => new ServerConnection(),
    client: () => new ClientConnection("ws://host/", { platform: { random: repeatable() } }),
  };
  for (const role of ROLES) {
    for (const { name, act } of beforeOpen) {
      it(`${name} of a ${role} throws and changes nothing`, () => {
        const connection = make[role]();
        expectHarmless(connection, "bad-state", () => act(connection));
        expect(connection.state).toBe("connecting");
      });
    }
  }
});

describe("what cannot be built", () => {
  it("10.3: a client without entropy", () => {
    expect(mistake(() => new OpenConnection("client", {})).code).toBe("no-entropy");
    expect(mistake(() => new OpenConnection("client", { platform: { clock: () => 0 } })).code).toBe(
      "no-entropy",
    );
    expect(mistake(() => new ClientConnection("ws://host/", {})).code).toBe("no-entropy");
    expect(new OpenConnection("server", {}).state).toBe("open");
  });

  const options: readonly (readonly [name: string, options: Options])[] = [
    ["a limit below 0", { limits: { message: -1 } }],
    ["a limit that is no number", { limits: { frame: wrong("1") } }],
    ["a limit of output below 0", { limits: { output: -1 } }],
    ["a limit that is NaN", { limits: { discard: NaN } }],
    ["a limit of null", { limits: { head: wrong(null) } }],
    ["extensions that are no list", { extensions: wrong(permessageDeflate()) }],
    ["highWaterMark below 0", { highWaterMark: -1 }],
    ["a time of 0", { timeouts: { closing: 0 } }],
    ["a time below 0", { timeouts: { linger: -5 } }],
    ["a time that is NaN", { timeouts: { ping: NaN } }],
    ["a time that is a string", { timeouts: { pong: wrong("5s") } }],
    ["another text", { text: wrong("buffer") }],
    ["another http", { http: wrong("2") }],
  ];
  it.each(options)("options: %s", (_, given) => {
    expect(mistake(() => new Settings(given)).code).toBe("bad-option");
    expect(mistake(() => new OpenConnection("server", given)).code).toBe("bad-option");
    expect(mistake(() => new ServerConnection(given)).code).toBe("bad-option");
  });

  it("options: Infinity is lawful everywhere", () => {
    const all = { message: Infinity, frame: Infinity, head: Infinity, headers: Infinity, body: Infinity };
    const limits = { ...all, informational: Infinity, output: Infinity, discard: Infinity };
    const timeouts = {
      handshake: Infinity,
      closing: Infinity,
      linger: Infinity,
      ping: Infinity,
      pong: Infinity,
    };
    const settings = new Settings({ highWaterMark: Infinity, limits, timeouts });
    expect(settings.limits).toEqual(limits);
    expect(settings.timeouts).toEqual(timeouts);
  });

  it("options: a part of a byte counts for nothing", () => {
    const settings = new Settings({ limits: { message: 1000 / 3, headers: 1.5 } });
    expect(settings.limits).toMatchObject({ message: 333, headers: 1 });
  });

  it("options: made once, they serve any number of connections", () => {
    const settings = new Settings({ streaming: true, limits: { message: 1 } });
    expect(Settings.of(settings)).toBe(settings);
    expect(new OpenConnection("server", settings).state).toBe("open");
    expect(new ServerConnection(settings).state).toBe("connecting");
  });

  it("a prepared message of anything but a string or bytes", () => {
    for (const [, value] of NO_BYTES_AT_ALL.slice(1))
      expect(mistake(() => new Prepared(wrong(value))).code).toBe("bad-argument");
  });

  it("a frame of anything but bytes or a string", () => {
    const writer = new FrameWriter();
    expect(mistake(() => writer.writeBytes(0x82, wrong("x"))).code).toBe("bad-argument");
    expect(mistake(() => writer.writeText(0x81, wrong(bytes(1)))).code).toBe("bad-argument");
    expect(writer.take()).toBeUndefined();
  });

  it("the types tell of it: a prepared message is one", () => {
    const message: PreparedMessage = new Prepared("x");
    const connection = opened("server");
    expect(connection.sendPrepared(message)).toBe(true);
    expect(takeAll(connection)).toEqual(bytes(0x81, 1, "x"));
  });
});
