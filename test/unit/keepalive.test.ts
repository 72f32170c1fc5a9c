import { describe, expect, it } from "vitest";
import type { Connection, Role } from "../../src/index.js";
import { ClientConnection, Connection as OpenConnection, RULES, ServerConnection } from "../../src/index.js";
import { fromPeer, ManualClock, opened, repeatable, ROLES, takeFrames } from "../support/opened.js";
import { bytes, closePayload, concat, pull, summarize, toHex } from "../support/wire.js";

const PING = 5_000;
const PONG = 3_000;
const TIMEOUTS = { ping: PING, pong: PONG };

interface Timed {
  readonly clock: ManualClock;
  readonly connection: Connection;
  /** Milliseconds up to the deadline. */
  left(): number | undefined;
  /** Lets time pass and calls at the deadline only. */
  pass(milliseconds: number): void;
}

interface TimedOptions {
  readonly highWaterMark?: number;
  readonly halfClose?: boolean;
  readonly linger?: number | undefined;
}

function timed(role: Role, { linger, ...options }: TimedOptions = {}): Timed {
  const clock = new ManualClock();
  const timeouts = { ...TIMEOUTS, linger };
  const connection = opened(role, { ...options, timeouts, platform: { clock: clock.read } });
  const left = (): number | undefined => connection.deadline && connection.deadline - clock.now;
  return {
    clock,
    connection,
    left,
    pass(milliseconds) {
      const until = clock.now + milliseconds;
      for (let next = connection.deadline; next !== undefined && next <= until; next = connection.deadline) {
        clock.now = Math.max(clock.now, next);
        connection.handleTimeout();
      }
      clock.now = until;
    },
  };
}

const sent = (connection: Connection): unknown[] =>
  takeFrames(connection).map(({ opcode, payload }) => [opcode, toHex(payload)]);
const A_PING = [9, ""];
const GIVING_UP = [8, toHex(closePayload(1011, RULES["pong-timeout"].says))];

for (const role of ROLES) {
  const byte = fromPeer(role, { opcode: 2, payload: "x" }).slice(0, 1);
  const pong = fromPeer(role, { opcode: 10 });

  describe(`keepalive of a ${role}`, () => {
    it("pings after silence, not before", () => {
      const t = timed(role);
      expect(t.left()).toBe(PING);
      t.pass(PING - 1);
      t.connection.handleTimeout();
      expect(sent(t.connection)).toEqual([]);
      t.pass(1);
      expect(sent(t.connection)).toEqual([A_PING]);
      expect(t.left()).toBe(PONG);
    });

    it("early and repeated calls do nothing", () => {
      const t = timed(role);
      t.pass(PING);
      t.connection.handleTimeout();
      t.connection.handleTimeout();
      expect(sent(t.connection)).toEqual([A_PING]);
      t.connection.handleTimeout();
      expect(sent(t.connection)).toEqual([]);
    });

    for (const [name, data] of [
      ["a pong", pong],
      ["one byte of a frame", byte],
      ["a ping", fromPeer(role, { opcode: 9 })],
      ["a text", fromPeer(role, { opcode: 1, payload: "life" })],
    ] as const) {
      it(`any byte is life: ${name} puts the ping off`, () => {
        const t = timed(role);
        t.pass(PING - 1);
        t.connection.receive(data);
        expect(t.left()).toBe(PING);
        pull(t.connection);
        takeFrames(t.connection);
        t.pass(PING - 1);
        expect(sent(t.connection)).toEqual([]);
        t.pass(1);
        expect(sent(t.connection)).toEqual([A_PING]);
      });

      it(`any byte is life: ${name} answers for a ping`, () => {
        const t = timed(role);
        t.pass(PING);
        takeFrames(t.connection);
        t.pass(PONG - 1);
        t.connection.receive(data);
        expect(t.left()).toBe(PING);
        pull(t.connection);
        t.pass(PING - 1);
        expect(t.connection.state).toBe("open");
      });
    }

    it("any byte is life: each of a message that comes byte by byte", () => {
      const t = timed(role);
      for (const byte of fromPeer(role, { opcode: 1, payload: "life" })) {
        t.pass(PING - 1);
        t.connection.receive(Uint8Array.of(byte));
        expect(t.left()).toBe(PING);
        pull(t.connection);
      }
      expect(sent(t.connection)).toEqual([]);
    });

    it("no bytes are no life, wherever they come", () => {
      const wire = fromPeer(role, { opcode: 1, payload: "life" });
      for (let end = 0; end <= wire.length; end++) {
        const t = timed(role);
        t.connection.receive(wire.slice(0, end));
        pull(t.connection);
        t.pass(PING - 1);
        t.connection.receive(bytes());
        pull(t.connection);
        expect(t.left()).toBe(1);
      }
    });

    it("what is sent is no life: the peer has to be heard", () => {
      const t = timed(role);
      t.pass(PING - 1);
      t.connection.sendText("hello?");
      takeFrames(t.connection);
      expect(t.left()).toBe(1);
    });

    it("pings on and on while it is answered", () => {
      const t = timed(role);
      for (let i = 0; i < 5; i++) {
        t.pass(PING);
        expect(sent(t.connection)).toEqual([A_PING]);
        t.pass(40 + i);
        t.connection.receive(pong);
        expect(summarize(pull(t.connection))).toEqual([{ type: "pong", payload: "", roundTripTime: 40 + i }]);
      }
    });

    it("5.5.2: the wait for the pong starts when the ping is taken", () => {
      const t = timed(role);
      t.pass(PING);
      t.pass(PONG - 1);
      expect(sent(t.connection)).toEqual([A_PING]);
      expect(t.left()).toBe(PONG);
      t.pass(PONG - 1);
      expect(t.connection.state).toBe("open");
      t.pass(1);
      expect(summarize(pull(t.connection))).toMatchObject([{ type: "closing", code: 1011 }]);
      expect(t.connection.state).toBe("closing");
    });

    it("bytes that came before the time was over, and were not pulled, are read before it is given up", () => {
      const t = timed(role);
      t.pass(PING);
      takeFrames(t.connection);
      t.connection.receive(concat([fromPeer(role, { opcode: 1, payload: "slow" }), byte]));
      t.pass(PING);
      takeFrames(t.connection);
      t.pass(PONG);
      expect(summarize(pull(t.connection))).toMatchObject([
        { type: "text", text: "slow" },
        { type: "closing", code: 1011 },
      ]);
    });

    it("output that is stuck: as long again, then it is given up", () => {
      const t = timed(role);
      t.pass(PING);
      expect(t.left()).toBe(2 * PONG);
      t.pass(2 * PONG - 1);
      expect(t.connection.state).toBe("open");
      t.pass(1);
      expect(summarize(pull(t.connection))).toMatchObject([{ type: "closing", code: 1011 }]);
    });

    it("output that moves: the wait begins anew with each slice that is taken before the ping", () => {
      const t = timed(role);
      t.connection.sendBinary(new Uint8Array(1000));
      expect(t.connection.takeOutput(1)).toHaveLength(1);
      expect(t.left()).toBe(PING); // what is sent is no life
      t.pass(PING);
      for (let i = 0; i < 20; i++) {
        expect(t.left()).toBe(2 * PONG);
        t.pass(2 * PONG - 1);
        expect(t.connection.takeOutput(1)).toHaveLength(1);
      }
      expect(t.connection.state).toBe("open");
      t.connection.takeOutput();
      expect(t.left()).toBe(PONG);
      t.pass(PONG);
      expect(summarize(pull(t.connection))).toMatchObject([{ type: "closing", code: 1011 }]);
    });

    it("output that moved once and is stuck again: as long again, then it is given up", () => {
      const t = timed(role);
      t.connection.sendBinary(new Uint8Array(1000));
      t.pass(PING + PONG);
      t.connection.takeOutput(100);
      t.pass(2 * PONG - 1);
      expect(pull(t.connection)).toEqual([]);
      expect(t.connection.state).toBe("open");
      t.pass(1);
      expect(summarize(pull(t.connection))).toMatchObject([{ type: "closing", code: 1011 }]);
    });

    it("slices that are taken after the ping do not put its pong off", () => {
      const t = timed(role);
      t.pass(PING);
      takeFrames(t.connection);
      t.connection.sendBinary(new Uint8Array(1000));
      t.pass(PONG - 1);
      t.connection.takeOutput(100);
      expect(t.left()).toBe(1);
    });

    describe("a dead peer behind events that nobody pulls", () => {
      const cause = { by: "peer", rule: "pong-timeout", offset: undefined };
      const UNREAD = [
        { type: "text", text: "unread", final: true },
        { type: "binary", payload: "01", final: true },
      ];
      /** It is dead, and the application has not looked since. */
      const dead = (options: TimedOptions = {}): Timed => {
        const t = timed(role, options);
        t.connection.receive(
          concat([
            fromPeer(role, { opcode: 1, payload: "unread" }),
            fromPeer(role, { opcode: 2, payload: bytes(1) }),
          ]),
        );
        t.pass(PING);
        expect(sent(t.connection)).toEqual([A_PING]);
        t.pass(PONG);
        expect(t.connection.state).toBe("open");
        return t;
      };

      for (const halfClose of [true, false]) {
        it(`after \`linger\` the transport is destroyed; what was received is told, halfClose ${halfClose}`, () => {
          const t = dead({ halfClose });
          expect(t.left()).toBe(2000);
          t.pass(1999);
          t.connection.handleTimeout();
          expect(t.connection.transport).toBe("keep");
          t.pass(1);
          expect(t.connection.transport).toBe("destroy");
          expect(t.connection.state).toBe("closing");
          expect(t.connection.wantsInput).toBe(false);
          expect(t.left()).toBeUndefined();
          expect(summarize(pull(t.connection))).toEqual([
            ...UNREAD,
            { type: "closing", code: 1011, reason: RULES["pong-timeout"].says, cause },
            { type: "closed", code: 1006, reason: "", clean: false, sent: undefined, cause },
          ]);
          expect(sent(t.connection)).toEqual([]);
        });
      }

      it("where the application sends meanwhile, that is dropped, and later sends are false", () => {
        const t = dead();
        expect(t.connection.sendText("hello?")).toBe(true);
        t.pass(2000);
        expect(t.connection.outputSize).toBe(0);
        expect(t.connection.sendText("late")).toBe(false);
        expect(t.connection.close(1000)).toBe(false);
      });

      it("`linger` is the option's", () => {
        const t = dead({ linger: 7 });
        expect(t.left()).toBe(7);
        t.pass(7);
        expect(t.connection.transport).toBe("destroy");
      });

      it("with a `linger` of Infinity it waits for the application", () => {
        const t = dead({ linger: Infinity });
        expect(t.left()).toBeUndefined();
        t.pass(1_000_000);
        expect(t.connection.transport).toBe("keep");
        expect(summarize(pull(t.connection))).toMatchObject([...UNREAD, { type: "closing", code: 1011 }]);
      });

      it("pulled in time, it is told 1011", () => {
        const t = dead();
        t.pass(1999);
        expect(summarize(pull(t.connection))).toMatchObject([...UNREAD, { type: "closing", code: 1011 }]);
        expect(sent(t.connection)).toEqual([GIVING_UP]);
      });

      it("any byte in time is life again", () => {
        const t = dead();
        t.pass(1999);
        t.connection.receive(pong);
        expect(t.left()).toBe(PING);
        t.pass(PING);
        expect(t.connection.transport).toBe("keep");
        expect(summarize(pull(t.connection))).toMatchObject([...UNREAD, { type: "pong" }]);
        expect(sent(t.connection)).toEqual([A_PING]);
      });
    });

    for (const halfClose of [true, false]) {
      it(`pong overdue: Close 1011, ${halfClose ? "end, " : ""}then destroy`, () => {
        const t = timed(role, { halfClose });
        t.pass(PING);
        takeFrames(t.connection);
        t.pass(PONG);
        const cause = { by: "peer", rule: "pong-timeout", offset: undefined };
        expect(summarize(pull(t.connection))).toEqual([
          { type: "closing", code: 1011, reason: RULES["pong-timeout"].says, cause },
        ]);
        expect(t.connection.transport).toBe(halfClose ? "end" : "keep");
        expect(sent(t.connection)).toEqual([GIVING_UP]);
        expect(t.left()).toBe(2000);
        t.pass(2000);
        expect(t.connection.transport).toBe("destroy");
        expect(summarize(pull(t.connection))).toEqual([
          {
            type: "closed",
            code: 1006,
            reason: "",
            clean: false,
            sent: { code: 1011, reason: RULES["pong-timeout"].says },
            cause,
          },
        ]);
        expect(t.left()).toBeUndefined();
      });
    }

    it("a reader that pauses is no peer that is silent", () => {
      const t = timed(role, { highWaterMark: 8 });
      const wire = fromPeer(role, { opcode: 2, payload: "0123456789" });
      t.connection.receive(wire);
      expect(t.connection.wantsInput).toBe(false);
      expect(t.connection.deadline).toBeUndefined();
      t.pass(1_000_000);
      t.connection.handleTimeout();
      expect(sent(t.connection)).toEqual([]);
      // Pulled again: at the worst a ping goes out, however long ago the last byte was.
      pull(t.connection);
      expect(t.connection.wantsInput).toBe(true);
      t.connection.handleTimeout();
      t.connection.handleTimeout();
      expect(sent(t.connection)).toEqual([A_PING]);
      expect(t.left()).toBe(PONG);
      expect(t.connection.state).toBe("open");
    });

    it("a reader that pauses while a pong is due does not lose its peer", () => {
      const t = timed(role, { highWaterMark: 8 });
      t.pass(PING);
      takeFrames(t.connection);
      t.connection.receive(fromPeer(role, { opcode: 2, payload: "0123456789" }));
      t.pass(100 * PONG);
      t.connection.handleTimeout();
      expect(t.connection.state).toBe("open");
      pull(t.connection);
      t.pass(PONG);
      expect(t.connection.state).toBe("open");
      expect(t.connection.transport).toBe("keep");
    });

    it("is over once the connection closes", () => {
      const t = timed(role);
      t.connection.close(1000);
      takeFrames(t.connection);
      expect(t.left()).toBe(10_000);
      t.pass(9_999);
      expect(sent(t.connection)).toEqual([]);
    });

    it("is off by default", () => {
      const clock = new ManualClock();
      expect(opened(role, { platform: { clock: clock.read } }).deadline).toBeUndefined();
    });

    it("without a clock there is never a deadline", () => {
      const connection = opened(role, { timeouts: { ...TIMEOUTS, closing: 1, linger: 1 } });
      const look = (): void => {
        connection.handleTimeout();
        expect(connection.deadline).toBeUndefined();
      };
      look();
      connection.ping();
      takeFrames(connection);
      connection.receive(pong);
      expect(summarize(pull(connection))).toEqual([{ type: "pong", payload: "", roundTripTime: undefined }]);
      look();
      connection.close(1000);
      look();
      takeFrames(connection);
      look();
      connection.receive(fromPeer(role, { opcode: 8 }));
      pull(connection);
      look();
      connection.receiveEnd();
      pull(connection);
      look();
      expect(connection.state).toBe("closed");
    });

    it("times that are Infinity are never due", () => {
      const clock = new ManualClock();
      const connection = opened(role, {
        platform: { clock: clock.read },
        timeouts: { closing: Infinity, linger: Infinity, pong: Infinity, ping: 10 },
      });
      clock.pass(10);
      connection.handleTimeout();
      takeFrames(connection);
      expect(connection.deadline).toBeUndefined();
      connection.close(1000);
      expect(connection.deadline).toBeUndefined();
      connection.receive(fromPeer(role, { opcode: 8 }));
      pull(connection);
      expect(connection.deadline).toBeUndefined();
    });
  });

  describe(`round-trip times of a ${role}`, () => {
    const answer = (payload: string): Uint8Array => fromPeer(role, { opcode: 10, payload });
    const times = (connection: Connection): unknown[] =>
      summarize(pull(connection)).map((event) => event.type === "pong" && event.roundTripTime);

    it("count from when the ping was taken", () => {
      const { clock, connection } = timed(role);
      connection.ping(bytes("a"));
      clock.pass(100);
      takeFrames(connection);
      clock.pass(7);
      connection.receive(answer("a"));
      clock.pass(1000); // when the event is pulled does not matter
      expect(times(connection)).toEqual([7]);
    });

    it("count also where output never runs out", () => {
      const { clock, connection } = timed(role);
      const message = new Uint8Array(1000);
      connection.sendBinary(message);
      connection.ping(bytes("a"));
      connection.sendBinary(message);
      connection.takeOutput(900);
      clock.pass(50);
      connection.takeOutput(500); // with the ping in it, and not all
      clock.pass(7);
      connection.receive(answer("a"));
      expect(times(connection)).toEqual([7]);
      expect(connection.outputSize).toBeGreaterThan(0);
    });

    it("count from when the last slice of the ping was taken", () => {
      const { clock, connection } = timed(role);
      connection.ping(bytes("a"));
      expect(connection.takeOutput(1)).toHaveLength(1);
      clock.pass(100);
      connection.takeOutput();
      clock.pass(7);
      connection.receive(answer("a"));
      expect(times(connection)).toEqual([7]);
    });

    it("5.5.3: a pong answers its ping and those before it, once", () => {
      const { clock, connection } = timed(role);
      for (const payload of ["a", "b", "c"]) {
        connection.ping(bytes(payload));
        takeFrames(connection);
        clock.pass(10);
      }
      connection.receive(concat([answer("b"), answer("a"), answer("b"), answer("c"), answer("c")]));
      expect(times(connection)).toEqual([20, undefined, undefined, 10, undefined]);
    });

    it("5.5.3: a pong that nobody asked for has none, and takes none away", () => {
      const { clock, connection } = timed(role);
      connection.ping(bytes("a"));
      takeFrames(connection);
      clock.pass(3);
      connection.receive(concat([answer(""), answer("A"), answer("a")]));
      expect(times(connection)).toEqual([undefined, undefined, 3]);
    });

    it("a payload that changes after ping() changes nothing", () => {
      const { clock, connection } = timed(role);
      const payload = bytes("a");
      connection.ping(payload);
      payload.fill(0);
      expect(sent(connection)).toEqual([[9, "61"]]);
      clock.pass(4);
      connection.receive(answer("a"));
      expect(times(connection)).toEqual([4]);
    });

    it("pings that are never answered are forgotten, the oldest first", () => {
      const { connection } = timed(role);
      for (let i = 0; i < 100; i++) connection.ping(bytes(i));
      takeFrames(connection);
      connection.receive(
        concat([
          fromPeer(role, { opcode: 10, payload: bytes(0) }),
          fromPeer(role, { opcode: 10, payload: bytes(99) }),
        ]),
      );
      expect(times(connection)).toEqual([undefined, 0]);
    });
  });

  describe(`a ${role} answers pings`, () => {
    const ping = (payload: string): Uint8Array => fromPeer(role, { opcode: 9, payload });
    const pings = (count: number): Uint8Array =>
      concat(Array.from({ length: count }, (_, i) => ping(`${i}`)));
    const pongs = (connection: Connection): unknown[] =>
      takeFrames(connection).map(({ opcode, payload }) => [opcode, Buffer.from(payload).toString()]);
    const answers = (from: number, to: number): unknown[] =>
      Array.from({ length: to - from }, (_, i) => [10, `${from + i}`]);

    it("5.5.3: ten pings in one chunk get ten pongs", () => {
      const connection = opened(role);
      connection.receive(pings(10));
      expect(pull(connection)).toHaveLength(10);
      expect(pongs(connection)).toEqual(answers(0, 10));
    });

    it("5.5.2: the pong is queued when the ping is told", () => {
      const connection = opened(role);
      connection.receive(concat([ping("x"), ping("y")]));
      expect(connection.nextEvent()).toMatchObject({ type: "ping" });
      expect(pongs(connection)).toEqual([[10, "x"]]);
    });

    for (const count of [63, 64, 65, 66, 1000]) {
      it(`5.5.3: ${count} pings with output that is stuck`, () => {
        const connection = opened(role);
        connection.receive(pings(64));
        pull(connection);
        const full = connection.outputSize;
        connection.receive(pings(count).slice(pings(64).length));
        expect(pull(connection)).toHaveLength(Math.max(0, count - 64));
        expect(connection.outputSize).toBe(full);
        expect(pongs(connection)).toEqual(
          count <= 64 ? answers(0, 64) : [...answers(0, 64), ...answers(count - 1, count)],
        );
        // Taken: all are answered again.
        connection.receive(pings(70));
        pull(connection);
        expect(pongs(connection)).toEqual([...answers(0, 64), ...answers(69, 70)]);
      });
    }

    it("5.5.1: the latest pong goes before our Close, not behind it", () => {
      const connection = opened(role);
      connection.receive(pings(100));
      pull(connection);
      connection.close(1000);
      expect(pongs(connection).map((frame) => (frame as unknown[])[0])).toEqual([
        ...Array.from({ length: 65 }, () => 10),
        8,
      ]);
      expect(takeFrames(connection)).toEqual([]);
    });

    it("5.5.2: not after our Close", () => {
      const connection = opened(role);
      connection.close(1000);
      takeFrames(connection);
      connection.receive(pings(100));
      expect(pull(connection)).toHaveLength(100);
      expect(pongs(connection)).toEqual([]);
    });

    it("5.5.2: inside a fragmented message, before it ends", () => {
      const connection = opened(role);
      connection.receive(concat([fromPeer(role, { opcode: 1, fin: false, payload: "a" }), ping("p")]));
      expect(summarize(pull(connection))).toEqual([{ type: "ping", payload: "70" }]);
      expect(pongs(connection)).toEqual([[10, "p"]]);
    });

    for (const length of [0, 1, 125]) {
      it(`5.5.3: the pong has the ping's payload of ${length} bytes`, () => {
        const connection = opened(role);
        connection.receive(ping("x".repeat(length)));
        pull(connection);
        expect(pongs(connection)).toEqual([[10, "x".repeat(length)]]);
      });
    }
  });
}

describe("the opening handshake's deadline", () => {
  const head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  const rest = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

  it("of a server is not put off by bytes, stops at the request, and is gone after it", () => {
    const clock = new ManualClock();
    const server = new ServerConnection({ platform: { clock: clock.read }, timeouts: TIMEOUTS });
    expect(server.deadline).toBe(clock.now + 10_000);
    clock.pass(9_000);
    server.receive(bytes(head));
    expect(pull(server)).toEqual([]);
    expect(server.deadline).toBe(clock.now + 1_000);
    server.receive(bytes(rest));
    expect(pull(server)).toMatchObject([{ type: "request" }]);
    expect(server.deadline).toBeUndefined();
    clock.pass(1_000_000);
    server.handleTimeout();
    expect(server.state).toBe("connecting");
    server.accept();
    expect(pull(server)).toMatchObject([{ type: "open" }]);
    expect(server.deadline).toBe(clock.now + PING);
  });

  it("of a server without a clock is none", () => {
    const server = new ServerConnection();
    server.handleTimeout();
    expect(server.deadline).toBeUndefined();
    expect(pull(server)).toEqual([]);
  });

  it("of a client counts from the start, and destroys", () => {
    const clock = new ManualClock();
    const client = new ClientConnection("ws://a/", { platform: { clock: clock.read, random: repeatable() } });
    expect(client.deadline).toBe(clock.now + 10_000);
    clock.pass(5_000);
    client.takeOutput(1);
    expect(client.deadline).toBe(clock.now + 5_000);
    client.takeOutput();
    expect(client.deadline).toBe(clock.now + 5_000);
    clock.pass(5_000);
    client.handleTimeout();
    expect(client.transport).toBe("destroy");
    expect(summarize(pull(client))).toMatchObject([
      { type: "closed", code: 1006, clean: false, sent: undefined, cause: { rule: "handshake-timeout" } },
    ]);
  });
});

describe("the clock", () => {
  it("is not read by nextEvent", () => {
    let reads = 0;
    const connection = new OpenConnection("server", {
      platform: { clock: () => reads++ },
      timeouts: TIMEOUTS,
    });
    connection.receive(
      concat([
        fromPeer("server", { opcode: 9 }),
        fromPeer("server", { opcode: 10 }),
        fromPeer("server", { opcode: 1, payload: "x" }),
        fromPeer("server", { opcode: 8 }),
      ]),
    );
    const before = reads;
    expect(pull(connection)).toHaveLength(5);
    expect(reads).toBe(before);
  });
});
