import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { ClosedEvent, ConnectionEvent, MessageWriter, Options, Role } from "../../src/index.js";
import { ClientConnection, Connection, ServerConnection } from "../../src/index.js";
import type { LinkEnd } from "../../src/testing/index.js";
import { Link, seededRandom, VirtualClock } from "../../src/testing/index.js";
import { anyPayload, anyText, concat, role } from "../support/arbitraries.js";
import { hex } from "../support/observe.js";
import { parseMessages } from "../support/parser.js";
import { holds } from "../support/property.js";

// A client and a server of ours, joined in memory: what one sends before the closing, the other is told, in order.

interface Act {
  readonly by: Role;
  readonly what:
    "text" | "text bytes" | "binary" | "write" | "end" | "write bytes" | "ping" | "pong" | "close";
  readonly text: string;
  readonly payload: Uint8Array;
  /** How long to wait after it. */
  readonly pause: number;
}

const anyAct: fc.Arbitrary<Act> = fc.record({
  by: role,
  what: fc.oneof(
    {
      weight: 20,
      arbitrary: fc.constantFrom(
        "text" as const,
        "text bytes" as const,
        "binary" as const,
        "write" as const,
        "end" as const,
        "write bytes" as const,
        "ping" as const,
        "pong" as const,
      ),
    },
    { weight: 1, arbitrary: fc.constant("close" as const) },
  ),
  text: anyText,
  payload: anyPayload,
  pause: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(40) }),
});

interface World {
  readonly acts: readonly Act[];
  readonly seed: number;
  readonly slowest: number;
  readonly largest: number;
  readonly capacity: number;
  readonly client: Options;
  readonly server: Options;
}

const anyEnd: fc.Arbitrary<Options> = fc.record({
  streaming: fc.boolean(),
  text: fc.constantFrom("string" as const, "bytes" as const),
  halfClose: fc.boolean(),
  highWaterMark: fc.constantFrom(1, 100, 65536),
});

const anyWorld: fc.Arbitrary<World> = fc.record({
  acts: fc.array(anyAct, { maxLength: 30 }),
  seed: fc.integer(),
  slowest: fc.constantFrom(0, 5, 100),
  largest: fc.constantFrom(1, 3, 50, 5000, 1_000_000),
  capacity: fc.constantFrom(1, 1000, Infinity),
  client: anyEnd,
  server: anyEnd,
});

function build({ seed, slowest, largest, capacity, client, server }: World): Link {
  const clock = new VirtualClock();
  const below = (limit: number): number => (chance() >>> 0) % (limit + 1);
  const chance = seededRandom(seed);
  const platform = { random: seededRandom(seed + 1), clock: clock.now };
  return new Link(
    new ClientConnection("ws://example.com/", { ...client, platform }),
    new ServerConnection({ ...server, platform }),
    {
      clock,
      capacity,
      delay: () => below(slowest),
      split: () => 1 + below(largest - 1),
      onEvent: (event, end) => {
        if (event.type === "request" && end.connection instanceof ServerConnection) end.connection.accept();
      },
    },
  );
}

/** One who sends: what was sent whole is kept, as the other side has to see it. */
class Sender {
  readonly sent: string[] = [];
  private readonly end: LinkEnd;
  private writer:
    { readonly writer: MessageWriter; readonly kind: "text" | "binary"; payload: Uint8Array[] } | undefined;
  private openText = "";

  constructor(end: LinkEnd) {
    this.end = end;
  }

  act({ what, text, payload }: Act): void {
    const { connection } = this.end;
    if (connection.state === "connecting") return;
    const note = (sent: boolean, type: string, bytes: Uint8Array): void => {
      if (sent) this.sent.push(`${type} ${hex(bytes)}`);
    };
    switch (what) {
      case "text":
      case "text bytes": {
        if (this.writer !== undefined) return;
        const bytes = Buffer.from(text);
        note(connection.sendText(what === "text" ? text : new Uint8Array(bytes)), "text", bytes);
        return;
      }
      case "binary":
        if (this.writer === undefined) note(connection.sendBinary(payload), "binary", payload);
        return;
      case "write":
        if (this.writer === undefined) this.begin("text");
        if (this.writer?.kind === "text") {
          this.openText += text;
          this.writer.writer.write(text);
        }
        return;
      case "write bytes":
        if (this.writer === undefined) this.begin("binary");
        if (this.writer?.kind === "binary") {
          this.writer.payload.push(payload);
          this.writer.writer.write(payload);
        }
        return;
      case "end": {
        if (this.writer === undefined) return;
        const { writer, kind } = this.writer;
        const bytes = kind === "text" ? Buffer.from(this.openText) : concat(this.writer.payload);
        this.writer = undefined;
        note(writer.end(), kind, bytes);
        return;
      }
      case "ping":
        note(connection.ping(payload.subarray(0, 125)), "ping", payload.subarray(0, 125));
        return;
      case "pong":
        connection.pong(payload.subarray(0, 125));
        return;
      case "close":
        connection.close(1000, "done");
    }
  }

  private begin(kind: "text" | "binary"): void {
    this.openText = "";
    this.writer = { writer: this.end.connection.startMessage(kind), kind, payload: [] };
  }
}

/** The whole messages and the pings that an end was told of, pieces put together. */
function told(events: readonly ConnectionEvent[]): string[] {
  const list: string[] = [];
  let pieces: Uint8Array[] = [];
  for (const event of events) {
    if (event.type === "ping") list.push(`ping ${hex(event.payload)}`);
    if (event.type !== "text" && event.type !== "binary") continue;
    pieces.push(event.payload);
    if (!event.final) continue;
    list.push(`${event.type} ${hex(concat(pieces))}`);
    pieces = [];
  }
  return list;
}

function closedOf({ events }: LinkEnd): ClosedEvent {
  const closed = events.filter((event): event is ClosedEvent => event.type === "closed");
  expect(closed).toHaveLength(1);
  expect(events.at(-1)).toBe(closed[0]);
  return closed[0] as ClosedEvent;
}

function afterHead(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = concat(chunks);
  return bytes.subarray(Buffer.from(bytes).indexOf("\r\n\r\n") + 4);
}

describe("two of our own ends", () => {
  holds(
    "whatever is sent before the closing is told in order, with equal content, and both close clean",
    250,
    fc.property(anyWorld, role, fc.boolean(), (world, closer, both) => {
      const link = build(world);
      const senders = { client: new Sender(link.client), server: new Sender(link.server) };
      link.run(link.clock.now() + 1000);
      for (const act of world.acts) {
        senders[act.by].act(act);
        if (act.pause > 0) link.run(link.clock.now() + act.pause);
      }
      link[closer].connection.close(1000);
      if (both) link.client.connection.close(1001);
      if (both) link.server.connection.close(3000, "both");
      link.run();

      expect(told(link.server.events)).toEqual(senders.client.sent);
      expect(told(link.client.events)).toEqual(senders.server.sent);
      for (const end of [link.client, link.server]) {
        const closed = closedOf(end);
        expect(closed.clean).toBe(true);
        expect(closed.cause.rule).toBe("closed");
        expect([end.connection.deadline, end.connection.wantsInput, end.connection.outputSize]).toEqual([
          undefined,
          false,
          0,
        ]);
      }
      parseMessages(afterHead(link.client.sent), "client");
      parseMessages(afterHead(link.server.sent), "server");
    }),
  );

  holds(
    "a lost transport: a beginning of what was sent is told, then each closes once, unclean unless both Closes were there",
    150,
    fc.property(anyWorld, fc.nat(300), (world, when) => {
      const link = build(world);
      const senders = { client: new Sender(link.client), server: new Sender(link.server) };
      for (const act of world.acts) {
        senders[act.by].act(act);
        if (act.pause > 0) link.run(link.clock.now() + act.pause);
      }
      link.run(link.clock.now() + when);
      link.lose(new Error("a reset"));
      link.run();
      for (const [end, sent] of [
        [link.server, senders.client.sent],
        [link.client, senders.server.sent],
      ] as const) {
        const got = told(end.events);
        expect(got).toEqual(sent.slice(0, got.length));
        const closed = closedOf(end);
        const closes = end.events.some((event) => event.type === "closing") && closed.sent !== undefined;
        expect(closed.clean).toBe(closes);
      }
    }),
  );

  holds(
    "one direction cut: time-outs close both, and no more is told than was sent",
    150,
    fc.property(anyWorld, role, (world, cut) => {
      const timeouts = { ping: 5000, pong: 3000 };
      const link = build({
        ...world,
        client: { ...world.client, timeouts },
        server: { ...world.server, timeouts },
      });
      const senders = { client: new Sender(link.client), server: new Sender(link.server) };
      world.acts.forEach((act, index) => {
        senders[act.by].act(act);
        if (index * 2 > world.acts.length) link.cut(cut);
        if (act.pause > 0) link.run(link.clock.now() + act.pause);
      });
      link.cut(cut);
      link.run();
      for (const [end, sent] of [
        [link.server, senders.client.sent],
        [link.client, senders.server.sent],
      ] as const) {
        // Keepalive's own pings are empty.
        const got = told(end.events).filter((line) => line !== "ping ");
        expect(got).toEqual(sent.filter((line) => line !== "ping ").slice(0, got.length));
        closedOf(end);
      }
    }),
  );
});

describe("a text sent in parts", () => {
  holds(
    "arrives whole, wherever it was cut: inside a surrogate pair, inside a code point of its bytes (RFC 6455 5.6)",
    200,
    fc.property(
      fc.string({ unit: fc.constantFrom("a", "\u00e9", "\u4e2d", "\u{1f600}"), maxLength: 12 }),
      fc.array(fc.nat(50), { maxLength: 8 }),
      fc.boolean(),
      fc.boolean(),
      (text, cuts, asBytes, streaming) => {
        const whole = asBytes ? new Uint8Array(Buffer.from(text)) : text;
        const server = new Connection("server", {});
        const client = new Connection("client", { platform: { random: seededRandom(1) }, streaming });
        const writer = server.startMessage("text");
        const places = [0, ...cuts.map((cut) => cut % (whole.length + 1)), whole.length].sort(
          (a, b) => a - b,
        );
        places.slice(1).forEach((end, index) => writer.write(whole.slice(places[index], end)));
        writer.end();
        for (const chunk of server.takeOutput() ?? []) {
          for (const byte of chunk) client.receive(Uint8Array.of(byte));
        }
        expect(told([...client.events()])).toEqual([`text ${hex(Buffer.from(text))}`]);
      },
    ),
  );
});

describe("the link itself", () => {
  function pair(): { link: Link; clock: VirtualClock } {
    const clock = new VirtualClock();
    const platform = { random: seededRandom(1), clock: clock.now };
    const link = new Link(
      new ClientConnection("ws://example.com/", { platform, halfClose: true }),
      new ServerConnection({ platform, halfClose: true }),
      {
        clock,
        delay: () => 10,
        split: (_, size) => Math.ceil(size / 2),
        onEvent: (event, end) => {
          if (event.type === "request" && end.connection instanceof ServerConnection) end.connection.accept();
        },
      },
    );
    return { link, clock };
  }
  const types = (end: LinkEnd): string[] => end.events.map(({ type }) => type);

  it("nothing arrives before its delay is over", () => {
    const { link, clock } = pair();
    link.flush();
    expect(types(link.server)).toEqual([]);
    link.run(9);
    expect(types(link.server)).toEqual([]);
    link.run(10);
    expect(types(link.server)).toEqual(["request", "open"]);
    expect(types(link.client)).toEqual([]);
    link.run(20);
    expect(types(link.client)).toEqual(["open"]);
    expect(clock.now()).toBe(20);
  });

  it("a paused end is told nothing, and what arrives waits", () => {
    const { link } = pair();
    link.run(20);
    link.server.paused = true;
    for (let i = 0; i < 10; i++) link.client.connection.sendBinary(new Uint8Array(20_000));
    link.run(1000);
    expect(types(link.server)).toEqual(["request", "open"]);
    expect(link.server.connection.wantsInput).toBe(false);
    link.server.paused = false;
    link.run(2000);
    expect(types(link.server).filter((type) => type === "binary")).toHaveLength(10);
  });

  it("a direction that is cut carries nothing more", () => {
    const { link } = pair();
    link.run(20);
    link.cut("client");
    link.client.connection.sendText("lost");
    link.server.connection.sendText("found");
    link.run(100);
    expect(types(link.server)).toEqual(["request", "open"]);
    expect(types(link.client)).toEqual(["open", "text"]);
  });

  it("a lost transport ends both", () => {
    const { link } = pair();
    link.run(20);
    link.lose(new Error("gone"));
    link.run();
    expect(closedOf(link.client).cause.rule).toBe("transport-lost");
    expect(closedOf(link.server).cause.error).toEqual(new Error("gone"));
  });

  it("the closing handshake takes a way there and back, and the half-close another", () => {
    const { link, clock } = pair();
    link.run(20);
    link.client.connection.close(1000);
    link.run();
    expect(clock.now()).toBe(50);
    expect(closedOf(link.client).clean).toBe(true);
    expect(closedOf(link.server).clean).toBe(true);
  });

  it("bytes to an end that is gone come back as a reset", () => {
    const { link } = pair();
    link.run(20);
    link.server.connection.transportLost(new Error("the machine died"));
    link.client.connection.sendText("anybody there?");
    link.flush();
    link.client.connection.sendText("hello?");
    link.run();
    expect(closedOf(link.client).clean).toBe(false);
  });

  it("a virtual clock does not go backwards", () => {
    const clock = new VirtualClock(5);
    clock.advanceBy(2);
    expect(clock.now()).toBe(7);
    expect(() => {
      clock.advanceTo(6);
    }).toThrow(RangeError);
    expect(() => {
      clock.advanceBy(NaN);
    }).toThrow(RangeError);
  });

  it("a seed gives the same 32-bit integers each time, another seed others", () => {
    const draw = (seed: number): number[] => {
      const random = seededRandom(seed);
      return Array.from({ length: 1000 }, random);
    };
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(draw(3).every((value) => value === (value | 0))).toBe(true);
    expect(new Set(draw(4)).size).toBe(1000);
    const bits = draw(5).reduce((sum, value) => sum + (value & 1), 0);
    expect(bits).toBeGreaterThan(400);
    expect(bits).toBeLessThan(600);
  });
});
