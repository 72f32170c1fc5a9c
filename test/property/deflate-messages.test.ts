import fc from "fast-check";
import { describe, expect } from "vitest";

import type {
  Connection,
  ConnectionEvent,
  DeflateCodec,
  DeflateOptions,
  MessageWriter,
  Options,
  Role,
} from "../../src/index.js";
import { ClientConnection, permessageDeflate, PreparedMessage, ServerConnection } from "../../src/index.js";
import { Link, seededRandom } from "../../src/testing/index.js";
import { anyChunking, anyText, chunksOf, concat, frameBytes, other, role } from "../support/arbitraries.js";
import { CODECS, meet, ReferenceSender } from "../support/deflated.js";
import { hex, joined, plain, takeAll } from "../support/observe.js";
import { holds } from "../support/property.js";
import { reachableBytes } from "../support/snapshot.js";

// permessage-deflate on whole connections: any mix of messages, any chunks, any agreement.

const anyCodec: fc.Arbitrary<DeflateCodec> = fc.constantFrom(...CODECS.map(([, codec]) => codec));
const anyBits = fc.integer({ min: 8, max: 15 });

const anyDeflate: fc.Arbitrary<DeflateOptions> = fc.record({
  serverNoContextTakeover: fc.boolean(),
  clientNoContextTakeover: fc.boolean(),
  serverMaxWindowBits: fc.oneof(fc.constant(undefined), anyBits),
  clientMaxWindowBits: fc.oneof(fc.constant(undefined), anyBits),
  threshold: fc.constantFrom(0, 0, 1, 50, undefined),
  largest: fc.constantFrom(undefined, undefined, 20_000),
  level: fc.oneof(fc.constant(undefined), fc.integer({ min: 1, max: 9 })),
});

interface Side {
  readonly deflate: DeflateOptions;
  readonly codec: DeflateCodec;
  readonly streaming: boolean;
  readonly text: "string" | "bytes";
}

const anySide: fc.Arbitrary<Side> = fc.record({
  deflate: anyDeflate,
  codec: anyCodec,
  streaming: fc.boolean(),
  text: fc.constantFrom("string" as const, "bytes" as const),
});

function optionsOf({ deflate, codec, streaming, text }: Side): Options {
  const platform = { random: seededRandom(3), deflate: codec };
  return { extensions: [permessageDeflate(deflate)], platform, streaming, text };
}

/** Bytes without pattern, with some, and with nothing else. */
const anyContent: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.nat(3000), fc.nat(9))
      .map(([size, step]) => Uint8Array.from({ length: size }, (_, index) => (index * step) % 37)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(300, 17_000, 70_000), fc.integer(), fc.nat(9))
      .map(([size, seed, more]) => {
        const next = seededRandom(seed);
        return Uint8Array.from({ length: size + more }, () => next());
      }),
  },
  { weight: 1, arbitrary: fc.nat(100_000).map((size) => new Uint8Array(size)) },
);

const compress = fc.constantFrom(undefined, undefined, true, false);

/** What is done at one end of one of the connections. */
type Action = { readonly from: Role; readonly link: number } & (
  | { readonly do: "text"; readonly text: string; readonly compress: boolean | undefined }
  | { readonly do: "binary"; readonly content: Uint8Array; readonly compress: boolean | undefined }
  | { readonly do: "prepared"; readonly which: number }
  | { readonly do: "begin"; readonly kind: "text" | "binary"; readonly compress: boolean | undefined }
  | { readonly do: "part"; readonly text: string; readonly last: boolean }
  | { readonly do: "ping"; readonly payload: Uint8Array }
  | { readonly do: "flush" }
);

const where = { from: role, link: fc.nat(1) };
const anyActions: fc.Arbitrary<readonly Action[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ ...where, do: fc.constant("text" as const), text: anyText, compress }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ ...where, do: fc.constant("binary" as const), content: anyContent, compress }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ ...where, do: fc.constant("prepared" as const), which: fc.nat(20) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        ...where,
        do: fc.constant("begin" as const),
        kind: fc.constantFrom("text" as const, "binary" as const),
        compress: fc.constantFrom(true, true, undefined),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({ ...where, do: fc.constant("part" as const), text: anyText, last: fc.boolean() }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        ...where,
        do: fc.constant("ping" as const),
        payload: fc.uint8Array({ maxLength: 9 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ ...where, do: fc.constant("flush" as const) }) },
  ),
  { maxLength: 30 },
);

/** A message as it is to arrive. */
interface Arrives {
  readonly type: "text" | "binary" | "ping";
  readonly payload: string;
}

function utf8(text: string): string {
  return Buffer.from(text).toString("hex");
}

/** One end that sends, and what must arrive of it. */
class Sender {
  readonly messages: Arrives[] = [];
  readonly pings: Arrives[] = [];
  private readonly connection: Connection;
  private writer:
    { readonly to: MessageWriter; readonly kind: "text" | "binary"; written: string } | undefined;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  do(action: Action, prepared: readonly PreparedMessage[]): void {
    if (action.do === "ping") {
      this.connection.ping(action.payload);
      this.pings.push({ type: "ping", payload: hex(action.payload) });
    }
    if (action.do === "part") {
      if (this.writer !== undefined) this.part(this.writer, action.text, action.last);
    }
    if (this.writer !== undefined) return;
    if (action.do === "begin") {
      const to = this.connection.startMessage(action.kind, { compress: action.compress });
      this.writer = { to, kind: action.kind, written: "" };
    } else if (action.do === "text") {
      this.connection.sendText(action.text, { compress: action.compress });
      this.messages.push({ type: "text", payload: utf8(action.text) });
    } else if (action.do === "binary") {
      this.connection.sendBinary(action.content, { compress: action.compress });
      this.messages.push({ type: "binary", payload: hex(action.content) });
    } else if (action.do === "prepared") {
      const message = prepared[action.which % prepared.length];
      if (message === undefined) return;
      this.connection.sendPrepared(message);
      this.messages.push({ type: message.type, payload: hex(message.payload) });
    }
  }

  /** Ends the message that is open. */
  end(): void {
    if (this.writer !== undefined) this.part(this.writer, "", true);
  }

  private part(writer: NonNullable<Sender["writer"]>, part: string, last: boolean): void {
    const content = writer.kind === "text" ? part : new Uint8Array(Buffer.from(part));
    if (last) writer.to.end(content);
    else writer.to.write(content);
    writer.written += writer.kind === "text" ? part : Buffer.from(part).toString("hex");
    if (!last) return;
    this.messages.push({
      type: writer.kind,
      payload: writer.kind === "text" ? utf8(writer.written) : writer.written,
    });
    this.writer = undefined;
  }
}

/** Messages among events, pieces joined where pings stood between them, too. */
function arrived(events: readonly ConnectionEvent[], type: "messages" | "pings"): Arrives[] {
  return joined(
    events.filter((event) => (type === "pings" ? event.type === "ping" : isMessage(event))).map(plain),
  ).map((event) => ({ type: event.type as Arrives["type"], payload: String(event["payload"]) }));
}

function isMessage({ type }: ConnectionEvent): boolean {
  return type === "text" || type === "binary";
}

/** As far as they do not fit, in short. */
function expectSame(actual: readonly Arrives[], expected: readonly Arrives[]): void {
  const short = ({ type, payload }: Arrives): string =>
    payload.length < 200
      ? `${type} ${payload}`
      : `${type} ${payload.length} ${Buffer.from(payload).toString("base64url").slice(-80)}`;
  expect(actual.map(short)).toEqual(expected.map(short));
  expect(actual.every(({ payload }, index) => payload === expected[index]?.payload)).toBe(true);
}

describe("permessage-deflate, from end to end", () => {
  holds(
    "whatever is agreed on, sent and cut in whatever way: the same messages arrive, on connections side by side",
    250,
    fc.property(
      anySide,
      anySide,
      anyActions,
      fc.array(fc.oneof(anyText, anyContent), { maxLength: 3 }),
      fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 5000 })), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.boolean(),
      (server, client, actions, contents, sizes, compresses) => {
        const prepared = contents.map(
          (content) => new PreparedMessage(content, { compress: compresses ? true : undefined }),
        );
        let cut = 0;
        const serverOptions = optionsOf(server);
        const links = [0, 1].map(() => {
          const ends = {
            server: new ServerConnection(serverOptions),
            client: new ClientConnection("ws://host/", optionsOf(client)),
          };
          const link = new Link(ends.client, ends.server, {
            split: () => sizes[cut++ % sizes.length] ?? 1,
            onEvent: (event) => event.type === "request" && ends.server.accept(),
          });
          link.flush();
          return { link, ends, server: new Sender(ends.server), client: new Sender(ends.client) };
        });
        for (const action of actions) {
          const at = links[action.link];
          if (action.do === "flush") at?.link.flush();
          else at?.[action.from].do(action, prepared);
        }
        for (const { link, ends, ...senders } of links) {
          senders.server.end();
          senders.client.end();
          link.flush();
          ends.client.close(1000);
          link.run();
          for (const side of ["server", "client"] as const) {
            const { events } = link[side];
            const open = events.find((event) => event.type === "open");
            expect(open?.extensions.map(({ name }) => name)).toEqual(["permessage-deflate"]);
            expectSame(arrived(events, "messages"), senders[other(side)].messages);
            expectSame(arrived(events, "pings"), senders[other(side)].pings);
            expect(events.filter(({ type }) => type === "closed")).toMatchObject([
              { code: 1000, clean: true },
            ]);
          }
        }
      },
    ),
  );
});

/** What a connection makes of chunks, and then the end. */
function observe(connection: Connection, chunks: readonly Uint8Array[]): Observed {
  const events: ConnectionEvent[] = [];
  const look = (): void => {
    events.push(...connection.events());
  };
  for (const chunk of chunks) {
    connection.receive(chunk);
    look();
  }
  const output = hex(takeAll(connection));
  connection.receiveEnd();
  look();
  connection.takeOutput();
  look();
  expect(events.filter(({ type }) => type === "closed")).toHaveLength(1);
  return { events: joined(events.map(plain)), output };
}

interface Observed {
  readonly events: ReturnType<typeof joined>;
  readonly output: string;
}

/** An end of that role, agreed with another, that has seen nothing. */
function agreed(side: Role, deflate: DeflateOptions, codec: DeflateCodec, options: Options): Connection {
  const make = (): Options => ({
    halfClose: true,
    ...options,
    extensions: [permessageDeflate(deflate)],
    platform: { deflate: codec, random: seededRandom(5) },
  });
  return meet(make(), make())[side];
}

describe("permessage-deflate, chunking never matters", () => {
  const anyOptions: fc.Arbitrary<Options> = fc.record({
    streaming: fc.boolean(),
    text: fc.constantFrom("string" as const, "bytes" as const),
    limits: fc.oneof(
      { weight: 3, arbitrary: fc.constant({}) },
      { weight: 1, arbitrary: fc.record({ message: fc.constantFrom(0, 10, 100, 16_384, 20_000) }) },
    ),
  });

  holds(
    "the same bytes, whole and in any chunks, with any codec: the same events and output",
    250,
    fc.property(
      role,
      anyDeflate,
      anyCodec,
      anyCodec,
      anyOptions,
      anyActions,
      anyChunking,
      (side, deflate, codec, another, options, actions, sizes) => {
        const connection = agreed(other(side), deflate, another, {});
        const sender = new Sender(connection);
        for (const action of actions) sender.do(action, []);
        const stream = takeAll(connection);
        const whole = observe(agreed(side, deflate, codec, options), [stream]);
        expect(observe(agreed(side, deflate, codec, options), chunksOf(stream, sizes))).toEqual(whole);
        expect(observe(agreed(side, deflate, another, options), chunksOf(stream, [1000]))).toEqual(whole);
      },
    ),
  );

  holds(
    "the same of bytes that were corrupted, where messages come whole",
    400,
    fc.property(
      role,
      fc.record({ serverNoContextTakeover: fc.boolean(), clientNoContextTakeover: fc.boolean() }),
      anyCodec,
      fc.constantFrom("string" as const, "bytes" as const),
      anyActions,
      anyChunking,
      fc.array(fc.tuple(fc.nat(10_000), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 3 }),
      (side, takeover, codec, text, actions, sizes, flips) => {
        const deflate = { ...takeover, threshold: 0 };
        const connection = agreed(other(side), deflate, codec, {});
        const sender = new Sender(connection);
        for (const action of actions) sender.do(action, []);
        const stream = takeAll(connection);
        for (const [place, flip] of flips) {
          const at = Math.floor((stream.length * place) / 10_001);
          stream[at] = (stream[at] ?? 0) ^ flip;
        }
        const options = { text, limits: { message: 100_000 } };
        const whole = observe(agreed(side, deflate, codec, options), [stream]);
        const parts = observe(agreed(side, deflate, codec, options), chunksOf(stream, sizes));
        expect(withoutFault(parts)).toEqual(withoutFault(whole));
      },
    ),
  );
});

/** What is wrong first, the text or what it was coded with, is told apart only as far as bytes have come: both are 1007. */
function withoutFault(seen: unknown): unknown {
  return JSON.parse(
    JSON.stringify(seen, (name, value: unknown) => {
      const { code, rule } = (value ?? {}) as { code?: unknown; rule?: unknown };
      if (rule === "bad-coding" || rule === "invalid-utf8") return "1007";
      if (code === 1007) return { ...(value as object), reason: "1007" };
      return name === "output" ? undefined : value;
    }),
  );
}

describe("permessage-deflate, hostile bytes", () => {
  const LIMIT = 5000;

  /** Payloads that are DEFLATE, nearly, or not at all. */
  const anyPayload: fc.Arbitrary<Uint8Array> = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    anyContent.map((content) => new ReferenceSender().message(content)),
    fc.tuple(anyContent, fc.nat(10_000), fc.integer({ min: 1, max: 255 })).map(([content, place, flip]) => {
      const payload = Uint8Array.from(new ReferenceSender().message(content));
      const at = Math.floor((payload.length * place) / 10_001);
      payload[at] = (payload[at] ?? 0) ^ flip;
      return payload;
    }),
    fc
      .tuple(fc.constantFrom([3, 0], [0, 0, 0, 255, 255], [1, 0, 0, 255, 255], [2], [0xff]), fc.nat(2000))
      .map(([block, count]) =>
        Uint8Array.from({ length: count * block.length }, (_, index) => block[index % block.length] ?? 0),
      ),
  );

  const anyFrames = fc.array(
    fc.record({
      firstByte: fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom(0xc1, 0xc2) },
        { weight: 3, arbitrary: fc.constantFrom(0x41, 0x42, 0x00, 0x80, 0x81, 0x89) },
        { weight: 1, arbitrary: fc.nat(255) },
      ),
      payload: anyPayload,
    }),
    { minLength: 1, maxLength: 6 },
  );

  holds(
    "any bytes with RSV1: nothing throws, no more than the limit is told of a message, one `closed`, in bounded memory",
    500,
    fc.property(
      role,
      anyDeflate,
      anyCodec,
      fc.boolean(),
      fc.constantFrom("string" as const, "bytes" as const),
      anyFrames,
      anyChunking,
      (side, deflate, codec, streaming, text, frames, sizes) => {
        const connection = agreed(side, deflate, codec, { streaming, text, limits: { message: LIMIT } });
        const bytes = concat(frames.map((frame) => frameBytes(frame, other(side))));
        const events: ConnectionEvent[] = [];
        const mostChunk = Math.max(...sizes);
        chunksOf(bytes, sizes).forEach((chunk, index) => {
          connection.receive(chunk);
          for (const event of connection.events()) events.push(event);
          if (index % 50 !== 0) return;
          connection.takeOutput();
          // The message, what it is gathered in, the window, the tables, and the slabs that connections share.
          expect(reachableBytes(connection)).toBeLessThan(3 * LIMIT + 2 * mostChunk + 32_768 + 3 * 65_536);
        });
        connection.receiveEnd();
        events.push(...connection.events());
        connection.takeOutput();
        events.push(...connection.events());
        expect(events.filter(({ type }) => type === "closed")).toHaveLength(1);
        expect(events.at(-1)?.type).toBe("closed");
        for (const event of joined(events.map(plain))) {
          if (event.type === "text" || event.type === "binary")
            expect(String(event["payload"]).length / 2).toBeLessThanOrEqual(LIMIT);
        }
      },
    ),
  );

  holds(
    "both codecs tell the same messages and fail with the same code",
    300,
    fc.property(
      role,
      fc.record({ serverNoContextTakeover: fc.boolean(), clientNoContextTakeover: fc.boolean() }),
      anyFrames,
      (side, deflate, frames) => {
        // Final blocks that hold nothing, of two bytes each, are bounded on the platform: so many for a message, whatever its fragments.
        let left = 120;
        const few = frames.map(({ firstByte, payload }) => {
          if ((firstByte & 0x0f) === 1 || (firstByte & 0x0f) === 2) left = 120;
          const part = payload.subarray(0, left);
          left -= part.length;
          return { firstByte, payload: part };
        });
        const stream = concat(few.map((frame) => frameBytes(frame, other(side))));
        const [portable, platform] = CODECS.map(([, codec]) =>
          observe(agreed(side, deflate, codec, { limits: { message: LIMIT } }), [stream]),
        ) as [Observed, Observed];
        if (toldOf(portable).rule === "bad-coding" && toldOf(platform).code !== 1007) {
          // zlib tells of a code without codes once it is to read with it: what else is wrong by then comes first.
          expect(messagesOf(platform)).toEqual(messagesOf(portable));
        } else {
          expect(withoutFault(portable)).toEqual(withoutFault(platform));
        }
      },
    ),
  );
});

/** What the last event, which is `closed`, says. */
function toldOf({ events }: Observed): { readonly code: unknown; readonly rule: unknown } {
  const closed = events.at(-1) as unknown as { cause: { rule: unknown }; sent?: { code: unknown } };
  return { code: closed.sent?.code, rule: closed.cause.rule };
}

const messagesOf = ({ events }: Observed): unknown[] =>
  events.filter(({ type }) => type === "text" || type === "binary");
