import { describe, expect, it } from "vitest";
import type { Connection, MessageWriter, Options } from "../../src/index.js";
import { PreparedMessage, UsageError } from "../../src/index.js";
import { fromPeer, ManualClock, opened, ROLES, takeFrames } from "../support/opened.js";
import type { FrameSpec } from "../support/wire.js";
import { bytes, closePayload, concat, parseFrames, pull, summarize } from "../support/wire.js";

/** Takes `max` bytes at a time until there is nothing, and looks after each time. */
function takeSlices(connection: Connection, max: number, look: () => void = () => undefined): Uint8Array {
  const slices: Uint8Array[] = [];
  for (let taken = connection.takeOutput(max); taken !== undefined; taken = connection.takeOutput(max)) {
    const slice = concat(taken);
    expect(slice.length).toBeGreaterThan(0);
    expect(slice.length).toBeLessThanOrEqual(max);
    slices.push(slice);
    look();
  }
  return concat(slices);
}

const THEIRS: FrameSpec = { opcode: 8, payload: closePayload(1001, "theirs") };
const FAULT: FrameSpec = { opcode: 3 };

for (const role of ROLES) {
  const open = (options: Options = {}): Connection => opened(role, options);

  describe(`takeOutput(max) of a ${role}`, () => {
    for (const max of [1, 2, 5, 100, 4096, Infinity]) {
      it(`gives all frames in slices of ${max}, and counts what is left`, () => {
        const connection = open();
        connection.sendText("text");
        connection.sendBinary(new Uint8Array(5000).fill(7));
        connection.ping(bytes("p"));
        const all = connection.outputSize;
        let taken = 0;
        const wire = takeSlices(connection, max, () => {
          taken = Math.min(all, taken + max);
          expect(connection.outputSize).toBe(all - taken);
        });
        expect(parseFrames(wire).map(({ opcode, payload }) => [opcode, payload.length])).toEqual([
          [1, 4],
          [2, 5000],
          [9, 1],
        ]);
        expect(connection.outputSize).toBe(0);
      });
    }

    it("what is sent between slices stands behind what is left", () => {
      const connection = open();
      const slices: Uint8Array[] = [];
      const expected: string[] = [];
      for (let i = 0; i < 200; i++) {
        connection.sendText(`${i}`);
        expected.push(`${i}`);
        slices.push(...(connection.takeOutput(1 + (i % 9)) ?? []));
      }
      slices.push(...(connection.takeOutput() ?? []));
      const texts = parseFrames(concat(slices)).map(({ payload }) => Buffer.from(payload).toString());
      expect(texts).toEqual(expected);
    });

    for (const max of [1, 3, 7]) {
      it(`7.1.1: our Close is the last of slices of ${max}; the transport ends when the other came`, () => {
        const connection = open({ halfClose: true });
        connection.sendText("last words");
        connection.close(3000, "ours");
        expect(connection.sendText("late")).toBe(false);
        const wire = takeSlices(connection, max, () => expect(connection.transport).toBe("keep"));
        expect(parseFrames(wire)).toMatchObject([
          { opcode: 1, payload: bytes("last words") },
          { opcode: 8, payload: closePayload(3000, "ours") },
        ]);
        connection.receive(fromPeer(role, THEIRS));
        connection.receiveEnd();
        expect(summarize(pull(connection)).at(-1)).toMatchObject({
          type: "closed",
          code: 1001,
          clean: true,
          sent: { code: 3000, reason: "ours" },
        });
      });

      it(`7.1.7: a connection that failed is not \`closed\` before the last slice of ${max} was taken`, () => {
        const connection = open({ halfClose: true });
        connection.sendText("before");
        connection.receive(fromPeer(role, FAULT));
        connection.receiveEnd();
        expect(pull(connection)).toMatchObject([{ type: "closing", code: 1002 }]);
        const wire = takeSlices(connection, max, () => {
          if (connection.outputSize > 0) expect(pull(connection)).toEqual([]);
        });
        const [text, close, ...more] = parseFrames(wire);
        expect([text?.opcode, close?.opcode, more]).toEqual([1, 8, []]);
        expect(pull(connection)).toMatchObject([{ type: "closed", code: 1006, sent: { code: 1002 } }]);
      });
    }

    it("a Close of which a byte is left when the transport is lost was not sent", () => {
      for (const left of [0, 1, 4]) {
        const connection = open();
        connection.sendText("before it");
        connection.close(1000);
        connection.takeOutput(connection.outputSize - left);
        expect(connection.outputSize).toBe(left);
        connection.transportLost();
        expect(connection.outputSize).toBe(0);
        expect(pull(connection)).toMatchObject([
          { type: "closed", sent: left === 0 ? { code: 1000 } : undefined },
        ]);
      }
    });

    it("the times of closing begin anew with each slice", () => {
      const clock = new ManualClock();
      const connection = open({ halfClose: true, platform: { clock: clock.read } });
      connection.sendBinary(new Uint8Array(1000));
      connection.close(1000);
      for (let i = 0; i < 5; i++) {
        expect(connection.deadline).toBe(clock.now + 10_000);
        clock.pass(9_999);
        connection.handleTimeout();
        expect(connection.takeOutput(10)).toHaveLength(1);
      }
      connection.receive(fromPeer(role, THEIRS));
      pull(connection);
      for (let i = 0; i < 5; i++) {
        expect(connection.deadline).toBe(clock.now + 2_000);
        clock.pass(1_999);
        connection.handleTimeout();
        expect(connection.takeOutput(10)).toHaveLength(1);
      }
      clock.pass(2_000);
      connection.handleTimeout();
      expect(connection.transport).toBe("destroy");
      expect(pull(connection)).toMatchObject([{ type: "closed", clean: false, sent: undefined }]);
    });

    it("5.5.3: the latest of too many pings is answered when all is taken, not before", () => {
      const connection = open();
      const ping = (payload: string): void => {
        connection.receive(fromPeer(role, { opcode: 9, payload }));
        pull(connection);
      };
      for (let i = 0; i < 64; i++) ping("first");
      const full = connection.outputSize;
      const slices: Uint8Array[] = [];
      for (let i = 0; i < 100; i++) {
        ping(`later ${i}`);
        slices.push(...(connection.takeOutput(1) ?? []));
        expect(connection.outputSize).toBe(full - i - 1);
      }
      slices.push(...(connection.takeOutput() ?? []));
      const payloads = parseFrames(concat(slices)).map(({ payload }) => Buffer.from(payload).toString());
      expect(payloads).toEqual([...Array.from({ length: 64 }, () => "first"), "later 99"]);
    });

    it.each([1, 100, 4096, 8896, Infinity])(
      "5.5.2: 200 pings, each pong taken in slices of %d: every one is answered",
      (max) => {
        const connection = open();
        let pongs = 0;
        for (let i = 0; i < 200; i++) {
          connection.receive(fromPeer(role, { opcode: 9, payload: `ping ${i}` }));
          pull(connection);
          const frames = parseFrames(takeSlices(connection, max));
          expect(frames.map(({ payload }) => Buffer.from(payload).toString())).toEqual([`ping ${i}`]);
          pongs += frames.length;
        }
        expect(pongs).toBe(200);
      },
    );

    it("5.5.2: pings are answered although output never empties", () => {
      const connection = open();
      connection.sendBinary(new Uint8Array(2 ** 20));
      const slices: Uint8Array[] = [];
      for (let i = 0; i < 900; i++) {
        connection.receive(fromPeer(role, { opcode: 9, payload: "p" }));
        pull(connection);
        slices.push(...(connection.takeOutput(1000) ?? []));
        expect(connection.outputSize).toBeGreaterThan(0);
      }
      slices.push(...(connection.takeOutput() ?? []));
      const frames = parseFrames(concat(slices));
      expect(frames.map(({ opcode }) => opcode)).toEqual([2, ...Array.from({ length: 900 }, () => 10)]);
    });
  });

  describe(`limits.output of a ${role} (RFC 6455 10.4)`, () => {
    const LIMIT = 100;
    const limited = (output = LIMIT): Connection => open({ limits: { output } });
    const LOST = {
      type: "closed",
      code: 1006,
      reason: "",
      clean: false,
      sent: undefined,
      cause: { by: "peer", rule: "output-limit", offset: undefined },
    };

    function expectLost(connection: Connection): void {
      expect(connection.transport).toBe("destroy");
      expect(connection.outputSize).toBe(0);
      expect(connection.takeOutput()).toBeUndefined();
      expect(connection.wantsInput).toBe(false);
      expect(connection.sendText("late")).toBe(false);
      expect(connection.ping()).toBe(false);
      expect(connection.close(1000)).toBe(false);
      expect(summarize(pull(connection))).toEqual([LOST]);
      expect(connection.state).toBe("closed");
    }

    const sends: readonly (readonly [name: string, send: (connection: Connection) => boolean])[] = [
      ["a text", (c) => c.sendText("x")],
      ["a text in bytes", (c) => c.sendText(bytes("x"))],
      ["a binary message", (c) => c.sendBinary(bytes("x"))],
      ["a prepared message", (c) => c.sendPrepared(new PreparedMessage("x"))],
      ["an empty message", (c) => c.sendText("")],
      ["a message in fragments", (c) => c.startMessage("text").end("x")],
    ];
    for (const [name, send] of sends) {
      it(`${name} that finds more waiting is not sent, and the transport is given up`, () => {
        const connection = limited();
        expect(send(connection)).toBe(true);
        expect(connection.sendBinary(new Uint8Array(LIMIT))).toBe(true);
        expect(connection.transport).toBe("keep");
        expect(send(connection)).toBe(false);
        expectLost(connection);
      });

      it(`${name} that finds just the limit waiting is sent`, () => {
        const connection = limited();
        connection.sendBinary(new Uint8Array(LIMIT));
        connection.takeOutput(connection.outputSize - LIMIT);
        expect(send(connection)).toBe(true);
        expect(connection.transport).toBe("keep");
      });
    }

    it("a single message may be larger, whatever the limit", () => {
      for (const limit of [0, 1, LIMIT]) {
        const connection = limited(limit);
        for (let i = 0; i < 3; i++) {
          expect(connection.sendBinary(new Uint8Array(10_000))).toBe(true);
          expect(takeFrames(connection)).toHaveLength(1);
        }
        expect(connection.transport).toBe("keep");
        connection.sendText("");
        connection.sendText("");
        expect(connection.transport).toBe(limit < 2 ? "destroy" : "keep");
      }
    });

    it("is 64 MiB by default, and none where it is Infinity", () => {
      const message = new PreparedMessage(new Uint8Array(16 * 1024 * 1024));
      for (const [options, sent] of [
        [{}, 4],
        [{ limits: { output: Infinity } }, 6],
      ] as const) {
        const connection = opened("server", options); // it passes a prepared message through
        const answers = Array.from({ length: 6 }, () => connection.sendPrepared(message));
        expect(answers.filter((answer) => answer)).toHaveLength(sent);
      }
    });

    it("control frames and our Close are no messages: they still go", () => {
      const connection = limited();
      connection.sendBinary(new Uint8Array(1000));
      expect(connection.ping()).toBe(true);
      expect(connection.pong()).toBe(true);
      connection.receive(fromPeer(role, { opcode: 9 }));
      pull(connection);
      expect(connection.close(1000)).toBe(true);
      expect(takeFrames(connection).map(({ opcode }) => opcode)).toEqual([2, 9, 10, 10, 8]);
    });

    const parts: readonly (readonly [
      name: string,
      kind: "text" | "binary",
      write: (writer: MessageWriter) => boolean,
    ])[] = [
      ["a part", "text", (w) => w.write("x")],
      ["a part in bytes", "text", (w) => w.write(bytes("x"))],
      ["a part of a binary message", "binary", (w) => w.write(bytes(1))],
      ["the end", "text", (w) => w.end()],
      ["the end of a binary message", "binary", (w) => w.end()],
      ["a last part", "text", (w) => w.end("x")],
      ["bytes behind half a surrogate pair", "text", (w) => (w.write("\ud83d"), w.write(bytes("x")))],
      ["an end behind half a surrogate pair", "text", (w) => (w.write("\ud83d"), w.end())],
    ];
    for (const [name, kind, write] of parts) {
      it(`5.4: of a message in fragments: ${name} that finds more waiting is not sent`, () => {
        const connection = limited();
        const writer = connection.startMessage(kind);
        expect(writer.write(new Uint8Array(LIMIT))).toBe(true);
        expect(write(writer)).toBe(false);
        expectLost(connection);
      });

      it(`5.4: of a message in fragments: ${name} goes once the output was taken`, () => {
        const connection = limited();
        const writer = connection.startMessage(kind);
        writer.write(new Uint8Array(LIMIT));
        takeFrames(connection);
        expect(write(writer)).toBe(true);
        expect(connection.transport).toBe("keep");
      });
    }

    it("5.4: an empty part, and one that waits for its other half, send nothing: the limit is not asked", () => {
      const connection = limited();
      const writer = connection.startMessage("text");
      writer.write("x".repeat(LIMIT));
      expect(writer.write("")).toBe(true);
      expect(writer.write("\ud83d")).toBe(true);
      expect(connection.transport).toBe("keep");
    });

    it("what was received before is still told", () => {
      const connection = limited();
      connection.receive(
        concat([
          fromPeer(role, { opcode: 1, payload: "received" }),
          fromPeer(role, { opcode: 9 }), // is not answered any more
          fromPeer(role, { opcode: 2, payload: bytes(1) }),
        ]),
      );
      connection.sendBinary(new Uint8Array(1000));
      expect(connection.sendText("x")).toBe(false);
      expect(summarize(pull(connection))).toEqual([
        { type: "text", text: "received", final: true },
        { type: "ping", payload: "" },
        { type: "binary", payload: "01", final: true },
        LOST,
      ]);
    });

    it("a mistake throws, and gives nothing up", () => {
      const connection = limited();
      const writer = connection.startMessage("text");
      writer.write("x".repeat(1000));
      const size = connection.outputSize;
      expect(() => connection.sendText("inside a message")).toThrow(UsageError);
      expect(() => connection.sendBinary(null as never)).toThrow(UsageError);
      expect(() => writer.write(bytes(0xff))).toThrow(UsageError);
      expect([connection.transport, connection.outputSize]).toEqual(["keep", size]);
      takeFrames(connection);
      expect(writer.end()).toBe(true);
    });
  });
}
