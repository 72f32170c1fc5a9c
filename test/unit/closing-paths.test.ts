import { describe, expect, it } from "vitest";
import type { Connection, Options, Role, RuleName } from "../../src/index.js";
import { RULES } from "../../src/index.js";
import { phaseAfter, PHASES } from "../../src/closing.js";
import { fromPeer, ManualClock, opened, ROLES, takeFrames } from "../support/opened.js";
import type { FrameSpec, Summary, WireFrame } from "../support/wire.js";
import { bytes, closePayload, concat, feedings, pull, queued, summarize, toHex } from "../support/wire.js";

/** A connection that is driven as an embedder drives it, with all that it told and sent. */
class Driven {
  readonly role: Role;
  readonly clock: ManualClock = new ManualClock();
  readonly connection: Connection;
  readonly events: Summary[] = [];
  readonly frames: WireFrame[] = [];
  readonly levels: string[] = ["keep"];
  /** False: the transport takes nothing. */
  takes = true;

  constructor(role: Role, options: Options) {
    this.role = role;
    this.connection = opened(role, { ...options, platform: { clock: this.clock.read } });
  }

  receive(...specs: readonly (FrameSpec | Uint8Array)[]): void {
    this.connection.receive(
      concat(specs.map((spec) => (spec instanceof Uint8Array ? spec : fromPeer(this.role, spec)))),
    );
    this.pump();
  }

  close(code?: number, reason?: string): void {
    expect(this.connection.close(code, reason)).toBe(true);
    this.pump();
  }

  end(): void {
    this.connection.receiveEnd();
    this.pump();
  }

  lost(): void {
    this.connection.transportLost(new Error("reset"));
    this.pump();
  }

  /** Lets time pass up to the deadline, which is to be `milliseconds` away. */
  deadline(milliseconds: number): void {
    expect(this.connection.deadline).toBe(this.clock.now + milliseconds);
    this.clock.pass(milliseconds - 1);
    this.connection.handleTimeout();
    this.pump();
    expect(this.connection.deadline).toBe(this.clock.now + 1);
    this.clock.pass(1);
    this.connection.handleTimeout();
    this.pump();
  }

  pump(): void {
    this.events.push(...summarize(pull(this.connection)));
    if (this.connection.transport === "destroy") {
      expect(this.connection.outputSize).toBe(0);
    } else if (this.takes) {
      this.frames.push(...takeFrames(this.connection));
      this.events.push(...summarize(pull(this.connection)));
    }
    if (this.levels.at(-1) !== this.connection.transport) this.levels.push(this.connection.transport);
  }
}

interface Path {
  readonly name: string;
  readonly roles?: readonly Role[];
  readonly options?: Options;
  readonly run: (it: Driven) => void;
  /** Whether without `halfClose` what was taken last is given its time to be written, as "destroy" would drop it. */
  readonly lingers?: boolean;
  /** The Closes sent: payloads in hexadecimal. */
  readonly closes: readonly string[];
  readonly closing: readonly [code: number, reason?: string] | undefined;
  readonly code: number;
  readonly reason?: string;
  readonly clean: boolean;
  readonly sent: readonly [code: number, reason?: string] | undefined;
  readonly cause: readonly [by: "local" | "peer" | "transport", rule: RuleName];
  /** The transport's levels with `halfClose`; without it "end" is left out and "destroy" comes last. */
  readonly levels: Readonly<Record<Role, readonly string[]>>;
}

const END = { server: ["keep", "end"], client: ["keep", "end"] };
const END_THEN_DESTROY = { server: ["keep", "end", "destroy"], client: ["keep", "end", "destroy"] };
const DESTROY = { server: ["keep", "destroy"], client: ["keep", "destroy"] };
/** The server ended; the client waited for that. */
const AFTER_BOTH = { server: ["keep", "end", "destroy"], client: ["keep", "destroy"] };

const hexClose = (code: number, reason = ""): string => toHex(closePayload(code, reason));
const says = (rule: RuleName): string => RULES[rule].says;

const THEIRS: FrameSpec = { opcode: 8, payload: closePayload(1001, "theirs") };

/** How it may go on after both Closes, all of it clean. */
const AFTERWARDS: readonly (readonly [name: string, run: (it: Driven) => void, levels: Path["levels"]])[] = [
  ["the peer ends the stream", (d) => d.end(), END],
  ["reset after both Closes is clean (7.1.4)", (d) => d.lost(), AFTER_BOTH],
  ["the peer never ends: about 2 s, then destroy (7.1.1)", (d) => d.deadline(2000), AFTER_BOTH],
  [
    "frames after the peer's Close are discarded (5.5.1), then it ends",
    (d) => {
      d.receive({ opcode: 1, payload: "late" }, { opcode: 9 }, { opcode: 3 }, THEIRS, bytes(0xff, 0xff));
      d.end();
    },
    END,
  ],
  [
    "too much is discarded: destroy",
    (d) => {
      expect(d.connection.wantsInput).toBe(true);
      d.receive(new Uint8Array(500));
      expect(d.connection.transport).not.toBe("destroy");
      d.receive(new Uint8Array(501));
    },
    AFTER_BOTH,
  ],
];

const LIMITS: Options = { limits: { discard: 1000 } };

const paths: Path[] = [
  ...AFTERWARDS.flatMap(([name, run, levels]): Path[] => [
    {
      name: `theirs first; ${name}`,
      options: LIMITS,
      run: (d) => {
        d.receive(THEIRS);
        run(d);
      },
      closes: [hexClose(1001, "theirs")],
      closing: [1001, "theirs"],
      code: 1001,
      reason: "theirs",
      clean: true,
      sent: [1001, "theirs"],
      cause: ["peer", "closed"],
      levels,
    },
    {
      name: `ours first; ${name}`,
      options: LIMITS,
      run: (d) => {
        d.close(3000, "ours");
        d.receive({ opcode: 8, payload: closePayload(3000) });
        run(d);
      },
      closes: [hexClose(3000, "ours")],
      closing: [3000],
      code: 3000,
      clean: true,
      sent: [3000, "ours"],
      cause: ["local", "closed"],
      levels,
    },
    {
      name: `both at once, no third Close; ${name}`,
      options: LIMITS,
      run: (d) => {
        d.close(1000, "ours");
        d.receive(THEIRS);
        run(d);
      },
      closes: [hexClose(1000, "ours")],
      closing: [1001, "theirs"],
      code: 1001,
      reason: "theirs",
      clean: true,
      sent: [1000, "ours"],
      cause: ["local", "closed"],
      levels,
    },
  ]),
  {
    name: "7.1.5: an empty Close is answered by an empty one, reported as 1005",
    run: (d) => {
      d.receive({ opcode: 8 });
      d.end();
    },
    closes: [""],
    closing: [1005],
    code: 1005,
    clean: true,
    sent: [1005],
    cause: ["peer", "closed"],
    levels: END,
  },
  {
    name: "7.1.5: our empty Close",
    run: (d) => {
      d.close();
      d.receive({ opcode: 8, payload: closePayload(1000) });
      d.end();
    },
    closes: [""],
    closing: [1000],
    code: 1000,
    clean: true,
    sent: [1005],
    cause: ["local", "closed"],
    levels: END,
  },
  {
    name: "5.5.1: the peer's Close inside its own message drops the part that came",
    run: (d) => {
      d.receive({ opcode: 1, fin: false, payload: "partial" }, THEIRS);
      d.end();
    },
    closes: [hexClose(1001, "theirs")],
    closing: [1001, "theirs"],
    code: 1001,
    reason: "theirs",
    clean: true,
    sent: [1001, "theirs"],
    cause: ["peer", "closed"],
    levels: END,
  },
  {
    name: "7.1.1: no answer to our Close: the deadline, then destroy",
    run: (d) => {
      d.close(1000);
      d.deadline(10_000);
    },
    closes: [hexClose(1000)],
    closing: undefined,
    code: 1006,
    clean: false,
    sent: [1000],
    cause: ["peer", "close-timeout"],
    levels: DESTROY,
  },
  {
    name: "7.1.1: our Close cannot even be sent: the deadline, then destroy",
    run: (d) => {
      d.takes = false;
      d.close(1000);
      d.deadline(10_000);
    },
    closes: [],
    closing: undefined,
    code: 1006,
    clean: false,
    sent: undefined,
    cause: ["peer", "close-timeout"],
    levels: DESTROY,
  },
  {
    name: "7.1.5: the stream ends without a Close",
    run: (d) => d.end(),
    closes: [],
    closing: undefined,
    code: 1006,
    clean: false,
    sent: undefined,
    cause: ["peer", "no-close"],
    levels: END,
  },
  {
    name: "7.1.5: the stream ends after our Close, without theirs",
    run: (d) => {
      d.close(1000);
      d.end();
    },
    closes: [hexClose(1000)],
    closing: undefined,
    code: 1006,
    clean: false,
    sent: [1000],
    cause: ["peer", "no-close"],
    levels: END,
  },
  {
    name: "7.1.5: the stream ends inside a frame",
    run: (d) => {
      d.receive(fromPeer(d.role, { opcode: 2, payload: "12345" }).slice(0, -1));
      d.end();
    },
    closes: [],
    closing: undefined,
    code: 1006,
    clean: false,
    sent: undefined,
    cause: ["peer", "no-close"],
    levels: END,
  },
  {
    name: "7.1.5: the transport is lost",
    run: (d) => d.lost(),
    closes: [],
    closing: undefined,
    code: 1006,
    clean: false,
    sent: undefined,
    cause: ["transport", "transport-lost"],
    levels: DESTROY,
  },
  {
    name: "7.1.5: the transport is lost after our Close",
    run: (d) => {
      d.close(1001);
      d.lost();
    },
    closes: [hexClose(1001)],
    closing: undefined,
    code: 1006,
    clean: false,
    sent: [1001],
    cause: ["transport", "transport-lost"],
    levels: DESTROY,
  },
  {
    name: "7.1.5: a Close that came before the transport was lost is reported, though it could not be answered",
    run: (d) => {
      d.connection.receive(fromPeer(d.role, THEIRS));
      d.lost();
    },
    closes: [],
    closing: [1001, "theirs"],
    code: 1001,
    reason: "theirs",
    clean: false,
    sent: undefined,
    cause: ["transport", "transport-lost"],
    levels: DESTROY,
  },
  {
    name: "7.1.7: we fail the connection; the peer ends",
    lingers: true,
    run: (d) => {
      d.receive({ opcode: 3 });
      d.end();
    },
    closes: [hexClose(1002, says("reserved-opcode"))],
    closing: [1002, says("reserved-opcode")],
    code: 1006,
    clean: false,
    sent: [1002, says("reserved-opcode")],
    cause: ["peer", "reserved-opcode"],
    levels: END,
  },
  {
    name: "7.1.7: we fail the connection; the peer's Close is too late, it never ends",
    run: (d) => {
      d.receive({ opcode: 3 }, THEIRS);
      d.receive(THEIRS, { opcode: 1, payload: "late" });
      d.deadline(2000);
    },
    closes: [hexClose(1002, says("reserved-opcode"))],
    closing: [1002, says("reserved-opcode")],
    code: 1006,
    clean: false,
    sent: [1002, says("reserved-opcode")],
    cause: ["peer", "reserved-opcode"],
    levels: END_THEN_DESTROY,
  },
  {
    name: "7.1.7: the peer breaks a rule after our Close: no second Close",
    run: (d) => {
      d.close(1000, "ours");
      d.receive({ opcode: 1, payload: bytes(0xff) });
      d.end();
    },
    closes: [hexClose(1000, "ours")],
    closing: [1007, says("invalid-utf8")],
    code: 1006,
    clean: false,
    sent: [1000, "ours"],
    cause: ["peer", "invalid-utf8"],
    levels: END,
  },
  {
    name: "7.4: the peer answers our Close with a code that may not be sent",
    run: (d) => {
      d.close(1000);
      d.receive({ opcode: 8, payload: closePayload(1005) });
      d.end();
    },
    closes: [hexClose(1000)],
    closing: [1002, says("close-code")],
    code: 1006,
    clean: false,
    sent: [1000],
    cause: ["peer", "close-code"],
    levels: END,
  },
  {
    name: "7.1.7: we fail the connection; it is lost",
    run: (d) => {
      d.receive({ opcode: 3 });
      d.lost();
    },
    closes: [hexClose(1002, says("reserved-opcode"))],
    closing: [1002, says("reserved-opcode")],
    code: 1006,
    clean: false,
    sent: [1002, says("reserved-opcode")],
    cause: ["peer", "reserved-opcode"],
    levels: END_THEN_DESTROY,
  },
  {
    name: "5.4: close() inside a fragmented message cuts it off and makes its writer inert",
    run: (d) => {
      const writer = d.connection.startMessage("text");
      expect(writer.write("cut")).toBe(true);
      d.close(1001);
      expect(writer.write("off")).toBe(false);
      expect(writer.end()).toBe(false);
      d.receive({ opcode: 8, payload: closePayload(1001) });
      d.end();
    },
    closes: [hexClose(1001)],
    closing: [1001],
    code: 1001,
    clean: true,
    sent: [1001],
    cause: ["local", "closed"],
    levels: END,
  },
  {
    name: "the peer's Close inside our fragmented message makes its writer inert",
    run: (d) => {
      const writer = d.connection.startMessage("binary");
      expect(writer.write(bytes(1))).toBe(true);
      d.receive(THEIRS);
      expect(writer.write(bytes(2))).toBe(false);
      expect(writer.end(bytes(3))).toBe(false);
      d.end();
    },
    closes: [hexClose(1001, "theirs")],
    closing: [1001, "theirs"],
    code: 1001,
    reason: "theirs",
    clean: true,
    sent: [1001, "theirs"],
    cause: ["peer", "closed"],
    levels: END,
  },
  {
    name: "5.5.1: after our Close messages are still delivered, pings are told and not answered",
    run: (d) => {
      d.close(1000);
      d.receive(
        { opcode: 9, payload: "?" },
        { opcode: 1, fin: false, payload: "still " },
        { opcode: 0, payload: "here" },
        { opcode: 2, payload: "!" },
      );
      expect(d.events).toEqual([
        { type: "ping", payload: "3f" },
        { type: "text", text: "still here", final: true },
        { type: "binary", payload: "21", final: true },
      ]);
      expect(d.connection.state).toBe("closing");
      d.receive({ opcode: 8, payload: closePayload(1000) });
      d.end();
    },
    closes: [hexClose(1000)],
    closing: [1000],
    code: 1000,
    clean: true,
    sent: [1000],
    cause: ["local", "closed"],
    levels: END,
  },
  {
    name: "the peer's end is noticed only after our close(): it counts as no answer",
    lingers: true,
    run: (d) => {
      d.connection.receiveEnd();
      d.close(1000);
    },
    closes: [hexClose(1000)],
    closing: undefined,
    code: 1006,
    clean: false,
    sent: [1000],
    cause: ["peer", "no-close"],
    levels: END,
  },
  {
    name: "the peer ended, our output is stuck: closed only when it is taken",
    run: (d) => {
      d.takes = false;
      d.receive(THEIRS);
      d.end();
      expect(d.events.map(({ type }) => type)).toEqual(["closing"]);
      expect(d.connection.state).toBe("closing");
      expect(d.connection.wantsInput).toBe(false);
      d.takes = true;
      d.pump();
    },
    closes: [hexClose(1001, "theirs")],
    closing: [1001, "theirs"],
    code: 1001,
    reason: "theirs",
    clean: true,
    sent: [1001, "theirs"],
    cause: ["peer", "closed"],
    levels: END,
  },
  {
    name: "the peer ended, our output stays stuck: destroyed at the deadline",
    run: (d) => {
      d.takes = false;
      d.connection.sendText("never taken");
      d.end();
      // Events are parsed without a look at the clock: the time may begin anew with the next one, once.
      for (let round = 0; round < 2; round++) {
        d.clock.now = d.connection.deadline ?? 0;
        d.connection.handleTimeout();
      }
      expect(d.clock.now).toBe(1_000 + 2 * 2_000);
      d.pump();
    },
    closes: [],
    closing: undefined,
    code: 1006,
    clean: false,
    sent: undefined,
    cause: ["peer", "no-close"],
    levels: END_THEN_DESTROY,
  },
];

for (const role of ROLES) {
  for (const halfClose of [true, false]) {
    describe(`a ${role}, ${halfClose ? "with" : "without"} halfClose, closes`, () => {
      for (const path of paths) {
        it(path.name, () => {
          const d = new Driven(role, { ...path.options, halfClose });
          path.run(d);
          const { connection } = d;
          if (path.lingers === true && !halfClose) {
            expect([connection.state, connection.transport]).toEqual(["closing", "keep"]);
            d.deadline(2000);
          }

          const closing = d.events.filter(({ type }) => type === "closing");
          const [closingCode, closingReason = ""] = path.closing ?? [];
          expect(closing).toMatchObject(
            path.closing === undefined ? [] : [{ code: closingCode, reason: closingReason }],
          );
          const [by, rule] = path.cause;
          const [sentCode, sentReason = ""] = path.sent ?? [];
          expect(d.events.filter(({ type }) => type === "closed")).toHaveLength(1);
          expect(d.events.at(-1)).toMatchObject({
            type: "closed",
            code: path.code,
            reason: path.reason ?? "",
            clean: path.clean,
            sent: path.sent && { code: sentCode, reason: sentReason },
            cause: { by, rule },
          });

          const closes = d.frames.filter(({ opcode }) => opcode === 8);
          expect(closes.map(({ payload }) => toHex(payload))).toEqual(path.closes);
          if (closes.length > 0) expect(d.frames.at(-1)?.opcode).toBe(8);

          const levels = path.levels[role];
          expect(d.levels).toEqual(halfClose ? levels : ["keep", "destroy"]);

          expectInert(d);
          const told = d.events.length;
          connection.receiveEnd();
          connection.receive(bytes(0x81, 0x00));
          connection.transportLost();
          connection.handleTimeout();
          d.clock.pass(1_000_000);
          connection.handleTimeout();
          d.pump();
          expect(d.events).toHaveLength(told);
          expectInert(d);
        });
      }
    });
  }
}

describe("closing, besides", () => {
  for (const role of ROLES) {
    it(`a ${role} without halfClose and without a clock goes at once: nobody could say how long to wait`, () => {
      const connection = opened(role);
      connection.receive(fromPeer(role, { opcode: 3 }));
      expect(summarize(pull(connection))).toMatchObject([{ type: "closing", code: 1002 }]);
      expect(connection.transport).toBe("keep");
      expect(takeFrames(connection)).toMatchObject([{ opcode: 8 }]);
      expect(summarize(pull(connection))).toMatchObject([{ type: "closed", clean: false }]);
      expect(connection.transport).toBe("destroy");
    });

    it(`a ${role} tells what the transport was lost with`, () => {
      const connection = opened(role);
      const error = new Error("ECONNRESET");
      connection.transportLost(error);
      connection.transportLost(new Error("again"));
      expect(pull(connection)).toMatchObject([{ type: "closed", cause: { rule: "transport-lost", error } }]);
    });

    it(`a ${role} still delivers what came before the transport was lost`, () => {
      const connection = opened(role);
      connection.receive(
        concat([fromPeer(role, { opcode: 1, payload: "a" }), fromPeer(role, { opcode: 9, payload: "b" })]),
      );
      connection.transportLost();
      expect(connection.transport).toBe("destroy");
      expect(connection.state).toBe("closing");
      expect(connection.sendText("too late")).toBe(false);
      expect(pull(connection).map(({ type }) => type)).toEqual(["text", "ping", "closed"]);
      expect(connection.outputSize).toBe(0);
    });

    it(`a ${role} tells at which byte the stream ended`, () => {
      const wire = fromPeer(role, { opcode: 1, payload: "abc" });
      for (const rest of [0, 1, 4, wire.length - 1]) {
        for (const way of [...feedings, queued]) {
          const connection = opened(role);
          way.feed(connection, concat([wire, wire.slice(0, rest)]));
          connection.receiveEnd();
          expect(summarize(pull(connection)).at(-1)).toMatchObject({
            cause: { by: "peer", rule: "no-close", offset: wire.length + rest },
          });
        }
      }
    });

    it(`a ${role} told once more that the stream ended does nothing more`, () => {
      const connection = opened(role);
      connection.receiveEnd();
      connection.receiveEnd();
      expect(pull(connection)).toHaveLength(1);
    });

    it(`two of our own ends, closing at the same time, are both clean: ${role}`, () => {
      const [one, two] = [opened(role), opened(role === "server" ? "client" : "server")];
      one.close(1000, "one");
      two.close(3000, "two");
      const [fromOne, fromTwo] = [one.takeOutput() ?? [], two.takeOutput() ?? []];
      for (const chunk of fromOne) two.receive(chunk);
      for (const chunk of fromTwo) one.receive(chunk);
      for (const [end, code, reason, sent] of [
        [one, 3000, "two", { code: 1000, reason: "one" }],
        [two, 1000, "one", { code: 3000, reason: "two" }],
      ] as const) {
        const events = pull(end);
        expect(end.takeOutput()).toBeUndefined();
        if (end.state !== "closed") end.receiveEnd();
        events.push(...pull(end));
        expect(summarize(events)).toMatchObject([
          { type: "closing", code, reason },
          { type: "closed", code, reason, clean: true, sent },
        ]);
      }
    });
  }

  it("the table's transport never goes back, and its end is the end", () => {
    const order = ["keep", "end"];
    for (const { on, transport } of Object.values(PHASES)) {
      for (const to of Object.values(on).flatMap((phase) =>
        typeof phase === "string" ? [phase] : Object.values(phase),
      )) {
        expect(order.indexOf(PHASES[to].transport)).toBeGreaterThanOrEqual(order.indexOf(transport));
      }
    }
    expect(PHASES.closed.on).toEqual({});
    expect(phaseAfter(PHASES.closed, "opened", "server")).toBe(PHASES.closed);
    expect(phaseAfter(PHASES.open, "closeReceived", "server")).toBe(PHASES.ending);
    expect(phaseAfter(PHASES.open, "closeReceived", "client")).toBe(PHASES.awaitingEnd);
  });
});

function expectInert({ connection }: Driven): void {
  expect(connection.state).toBe("closed");
  expect(connection.deadline).toBeUndefined();
  expect(connection.wantsInput).toBe(false);
  expect(connection.outputSize).toBe(0);
  expect(connection.takeOutput()).toBeUndefined();
  expect(connection.nextEvent()).toBeUndefined();
  expect(connection.sendText("late")).toBe(false);
  expect(connection.sendText(bytes("late"))).toBe(false);
  expect(connection.sendBinary(bytes(1))).toBe(false);
  expect(connection.ping()).toBe(false);
  expect(connection.pong()).toBe(false);
  expect(connection.close(1000)).toBe(false);
  const writer = connection.startMessage("text");
  expect(writer.write("late")).toBe(false);
  expect(writer.end()).toBe(false);
  expect(connection.outputSize).toBe(0);
}
