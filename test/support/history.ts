import fc from "fast-check";

import type { MessageWriter, Options, Role } from "../../src/index.js";
import {
  ClientConnection,
  Connection,
  PreparedMessage,
  ServerConnection,
  UsageError,
} from "../../src/index.js";
import { seededRandom, VirtualClock } from "../../src/testing/index.js";
import {
  anyOptions,
  anyPayload,
  anyText,
  concat,
  frameStream,
  other,
  requestStream,
  role,
} from "./arbitraries.js";
import type { PlainEvent } from "./observe.js";
import { plain } from "./observe.js";

/** Something that is done to a connection. */
export type Step =
  | { readonly do: "receive"; readonly count: number; readonly owned: boolean }
  | { readonly do: "look"; readonly count: number }
  | { readonly do: "take" | "receiveEnd" | "transportLost" | "handleTimeout" | "accept" | "reject" }
  | { readonly do: "takeSlice"; readonly max: number }
  | { readonly do: "tick"; readonly duration: number }
  | { readonly do: "deadline"; readonly late: number }
  | { readonly do: "sendText" | "sendPrepared" | "writeText"; readonly text: string; readonly final: boolean }
  | { readonly do: "sendBinary" | "writeBinary"; readonly payload: Uint8Array; readonly final: boolean }
  | { readonly do: "ping" | "pong"; readonly payload: Uint8Array }
  | { readonly do: "close"; readonly code: number | undefined; readonly reason: string };

/** A connection and what is done to it: the same one each time that it is begun. */
export interface Plan {
  readonly side: Role;
  /** Whether it begins open, or with its opening handshake. */
  readonly open: boolean;
  readonly options: Options;
  readonly seed: number;
  /** What the peer sends. */
  readonly stream: Uint8Array;
  readonly steps: readonly Step[];
}

/** A connection in use, with all that came out of it. */
export class History {
  readonly clock: VirtualClock = new VirtualClock(1000);
  readonly connection: Connection;
  readonly events: PlainEvent[] = [];
  readonly output: Uint8Array[] = [];
  writer: MessageWriter | undefined;
  private readonly stream: Uint8Array;
  private at = 0;
  private ended = false;
  /** The last slice that was taken left a rest. */
  private leftRest = false;

  constructor({ side, open, options, seed, stream }: Plan) {
    this.stream = stream;
    const full = { ...options, platform: { random: seededRandom(seed), clock: this.clock.now } };
    this.connection = open
      ? new Connection(side, full)
      : side === "server"
        ? new ServerConnection(full)
        : new ClientConnection("ws://example.com/", full);
  }

  /** All that was taken, as one array. */
  get sent(): Uint8Array {
    return concat(this.output);
  }

  get closed(): boolean {
    return this.events.some(({ type }) => type === "closed");
  }

  /** Does a step. What an application has no right to do now is refused, and that is all. */
  do(step: Step): void {
    try {
      this.attempt(step);
    } catch (error) {
      if (!(error instanceof UsageError && error.code === "bad-state")) throw error;
    }
  }

  /** Takes up to `count` events. */
  look(count = Infinity): void {
    for (let i = 0; i < count; i++) {
      const event = this.connection.nextEvent();
      if (event === undefined) break;
      this.events.push(plain(event));
    }
  }

  /** Whether what was sent may end anywhere: the rest was dropped with the transport. */
  get cut(): boolean {
    return this.leftRest && this.connection.transport === "destroy";
  }

  /** Takes output: all, or a slice. */
  take(max?: number): void {
    const taken = this.connection.takeOutput(max);
    if (taken === undefined) return;
    this.output.push(...taken);
    this.leftRest = this.connection.outputSize > 0;
  }

  private attempt(step: Step): void {
    const { connection } = this;
    switch (step.do) {
      case "receive": {
        if (this.ended) return;
        const chunk = this.stream.slice(this.at, this.at + step.count);
        this.at += chunk.length;
        connection.receive(chunk, step.owned);
        return;
      }
      case "receiveEnd":
        this.ended = true;
        connection.receiveEnd();
        return;
      case "transportLost":
        connection.transportLost(new Error("a reset"));
        return;
      case "handleTimeout":
        connection.handleTimeout();
        return;
      case "look":
        this.look(step.count);
        return;
      case "take":
        this.take();
        return;
      case "takeSlice":
        this.take(step.max);
        return;
      case "tick":
        this.clock.advanceBy(step.duration);
        return;
      case "deadline":
        this.clock.advanceTo(Math.max(this.clock.now(), (connection.deadline ?? 0) + step.late));
        connection.handleTimeout();
        return;
      case "accept":
        if (connection instanceof ServerConnection) connection.accept();
        return;
      case "reject":
        if (connection instanceof ServerConnection) connection.reject({ status: 404, body: "no" });
        return;
      case "sendText":
        connection.sendText(step.final ? step.text : new Uint8Array(Buffer.from(step.text)));
        return;
      case "sendPrepared":
        connection.sendPrepared(new PreparedMessage(step.text));
        return;
      case "sendBinary":
        connection.sendBinary(step.payload);
        return;
      case "writeText":
        this.write("text", step.text, step.final);
        return;
      case "writeBinary":
        this.write("binary", step.payload, step.final);
        return;
      case "ping":
        connection.ping(step.payload);
        return;
      case "pong":
        connection.pong(step.payload);
        return;
      case "close":
        connection.close(step.code, step.reason);
        return;
    }
  }

  /** Writes to the message that is open, or begins one. */
  private write(kind: "text" | "binary", part: string | Uint8Array, final: boolean): void {
    this.writer ??= this.connection.startMessage(kind);
    try {
      if (final) this.writer.end(part);
      else this.writer.write(part);
      if (final) this.writer = undefined;
    } catch (error) {
      // A string has no place in a binary message, nor any bytes in a text.
      if (!(error instanceof UsageError && /^bad-(argument|text)$/.test(error.code))) throw error;
    }
  }
}

const controlPayload = fc.uint8Array({ maxLength: 10 });

/** What happens a lot, and what an application does. */
const busyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("receive" as const),
      count: fc.oneof(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 500 })),
      owned: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("look" as const), count: fc.integer({ min: 1, max: 9 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("take" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("takeSlice" as const),
      max: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 500 })),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("accept" as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("sendText" as const, "sendPrepared" as const, "writeText" as const),
      text: anyText,
      final: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom("sendBinary" as const, "writeBinary" as const),
      payload: anyPayload,
      final: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("ping" as const, "pong" as const), payload: controlPayload }),
  },
);

const tick: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("tick" as const),
  duration: fc.oneof(
    fc.nat(50),
    fc.integer({ min: 0, max: 12_000 }),
    fc.double({ min: 0, max: 3, noNaN: true }),
  ),
});
const deadline: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("deadline" as const),
  late: fc.oneof(fc.constant(0), fc.nat(20_000)),
});

/** What ends it, sooner or later. */
const lastStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("close" as const),
      code: fc.constantFrom(undefined, 1000, 1001, 4999),
      reason: fc.constant(""),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("close" as const),
      code: fc.constant(1000),
      reason: fc.constantFrom("bye", "\u00e9", "\ud83d"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("receiveEnd" as const, "transportLost" as const) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("handleTimeout" as const, "reject" as const) }) },
);

export const anySteps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: busyStep },
    { weight: 4, arbitrary: tick },
    { weight: 2, arbitrary: deadline },
    { weight: 1, arbitrary: lastStep },
  ),
  { maxLength: 40 },
);

/** Connections of every kind, with all that may happen to one. */
export const anyPlan: fc.Arbitrary<Plan> = fc
  .tuple(role, fc.boolean(), anyOptions, fc.boolean(), fc.integer(), fc.nat(100), anySteps)
  .chain(([side, open, options, keepalive, seed, discard, steps]) => {
    const stream = side === "server" && !open ? requestStream : frameStream(other(side));
    const timeouts = keepalive ? { ping: 3000, pong: 2000 } : {};
    const limits = discard < 10 ? { ...options.limits, discard } : { ...options.limits };
    const full = { ...options, timeouts, limits };
    return stream.map((bytes): Plan => ({ side, open, options: full, seed, stream: bytes, steps }));
  });
