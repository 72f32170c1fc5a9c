import { describe, expect, it } from "vitest";

import type { DeflateCodec } from "../../src/index.js";
import {
  Connection,
  FrameReader,
  FrameWriter,
  mask,
  portableDeflate,
  portableUtf8,
  Settings,
} from "../../src/index.js";
import { CODECS, both, TAKEOVER } from "../support/deflated.js";
import { framesFromPeer, fromPeer, opened, repeatable, takeFrames } from "../support/opened.js";
import { bytes, concat, pull, summarize, takeAll } from "../support/wire.js";

// What a platform hands in and that throws is the host's fault. What was to be masked is not sent then, and may be sent again; what was to be
// read is not lost.

/** Entropy that fails once, when it is told to. */
class Failing {
  fails = false;
  private readonly draw = repeatable();

  readonly random = (): number => {
    if (!this.fails) return this.draw();
    this.fails = false;
    throw new Error("no entropy");
  };

  /** Has `act` fail for want of entropy. */
  during(act: () => unknown): void {
    this.fails = true;
    expect(act).toThrow("no entropy");
  }
}

describe("a client whose `random` throws once", () => {
  for (const size of [3, 40]) {
    it(`is told of a text that is wrong in a chunk of ${size} bytes, once it can be answered`, () => {
      const entropy = new Failing();
      const client = opened("client", { platform: entropy });
      const wire = fromPeer("client", { opcode: 1, payload: "a", claimedLength: 1000, lengthForm: 16 });
      client.receive(wire);
      expect(pull(client)).toEqual([]);
      client.receive(new Uint8Array(size).fill(0xff));
      entropy.during(() => client.nextEvent());
      expect(summarize(pull(client))).toMatchObject([
        { type: "closing", code: 1007, cause: { rule: "invalid-utf8", offset: wire.length } },
      ]);
    });
  }

  it("sends messages as if they had not been tried before", () => {
    const entropy = new Failing();
    const client = opened("client", { platform: entropy });
    entropy.during(() => client.sendText("lost"));
    entropy.during(() => client.sendText("x".repeat(100)));
    entropy.during(() => client.sendBinary(bytes("lost")));
    client.sendText("sent");
    expect(takeFrames(client)).toMatchObject([{ opcode: 1, fin: true, payload: bytes("sent") }]);
  });

  it("begins a message in fragments with its first fragment that is sent", () => {
    for (const part of ["a", bytes("a")]) {
      const entropy = new Failing();
      const client = opened("client", { platform: entropy });
      const writer = client.startMessage("text");
      entropy.during(() => writer.write(part));
      writer.write(part);
      writer.end();
      expect(takeFrames(client)).toMatchObject([
        { opcode: 1, fin: false, payload: bytes("a") },
        { opcode: 0, fin: true, payload: bytes() },
      ]);
    }
  });

  for (const [name, codec] of CODECS) {
    it(`refers to nothing that its peer did not get, ${name}`, () => {
      const entropy = new Failing();
      const { client, server } = both({ codec, deflate: TAKEOVER, options: { platform: entropy } });
      const texts = ["one of a kind, ".repeat(20), "another of another kind, ".repeat(20)];
      client.sendText(texts[0] ?? "");
      entropy.during(() => client.sendText(texts[1] ?? ""));
      client.sendText(texts[1] ?? "");
      server.receive(takeAll(client));
      expect(pull(server)).toMatchObject(texts.map((text) => ({ type: "text", text })));
    });
  }

  it("writes a frame as if it had not been tried before", () => {
    const entropy = new Failing();
    const writer = new FrameWriter({ random: entropy.random });
    for (const size of [1, 100, 70_000]) {
      entropy.during(() => {
        writer.writeBytes(0x82, new Uint8Array(size));
      });
      expect(writer.take()).toBeUndefined();
    }
  });
});

describe("a reader whose platform throws once", () => {
  it("is still inside a message that began in the frame whose mask failed", () => {
    let fails = true;
    const reader = new FrameReader({
      masked: true,
      mask(bytes, start, end, key) {
        if (!fails) return mask(bytes, start, end, key);
        fails = false;
        throw new Error("no mask");
      },
    });
    reader.receive(framesFromPeer("server", [{ opcode: 1, fin: false, payload: "a" }]), true);
    expect(() => reader.next()).toThrow("no mask");
    reader.receive(framesFromPeer("server", [{ opcode: 1, payload: "b" }]), true);
    expect(reader.next()).toBe(false);
    expect(reader.fault).toBe("interleaved-message");
  });

  // Whether its first piece was pulled before the last one came, or both had come before anything was pulled.
  for (const pullsBetween of [true, false]) {
    const when = pullsBetween ? "piece by piece" : "all at once";
    it(`goes on with the text whose last piece could not be unmasked, pulled ${when}`, () => {
      let failsAt = -1;
      const connection = opened("server", {
        platform: {
          mask(bytes, start, end, key) {
            if (start !== failsAt) return mask(bytes, start, end, key);
            failsAt = -1;
            throw new Error("no mask");
          },
        },
      });
      const wire = framesFromPeer("server", [
        { opcode: 1, payload: "abc" },
        { opcode: 9, payload: "?" },
      ]);
      connection.receive(wire.slice(0, 8), true);
      if (pullsBetween) expect(pull(connection)).toEqual([]);
      failsAt = 0; // the first piece stands behind its header
      connection.receive(wire.slice(8), true);
      expect(() => connection.nextEvent()).toThrow("no mask");
      expect(pull(connection)).toMatchObject([{ type: "text", text: "abc" }, { type: "ping" }]);
    });
  }

  it("does not begin a message with what is left of one for which there was no memory", () => {
    for (const opcode of [1, 2]) {
      let fails = true;
      const fail = (): void => {
        if (!fails) return;
        fails = false;
        throw new Error("no memory");
      };
      const connection = opened("server", {
        platform: {
          allocate(size) {
            fail();
            return new Uint8Array(size);
          },
          utf8: {
            ...portableUtf8,
            decode(bytes, start, end) {
              fail();
              return portableUtf8.decode(bytes, start, end);
            },
          },
        },
      });
      const long = fromPeer("server", { opcode, payload: "l".repeat(20_000) });
      const short = fromPeer("server", { opcode, payload: "short" });
      connection.receive(long.slice(0, 10_000), true);
      expect(pull(connection)).toEqual([]);
      connection.receive(concat([long.slice(10_000), short.slice(0, 8)]), true);
      expect(() => connection.nextEvent()).toThrow("no memory");
      expect(pull(connection)).toEqual([]);
      connection.receive(short.slice(8), true);
      const told = pull(connection).map((event) => "payload" in event && event.payload);
      expect(told).toEqual([bytes("short")]);
    }
  });

  it("tells nobody what is left of a text for which there was no memory: neither its peer nor another's", () => {
    let fails = false;
    const settings = new Settings({
      platform: {
        utf8: {
          ...portableUtf8,
          decode(bytes, start, end) {
            if (!fails) return portableUtf8.decode(bytes, start, end);
            fails = false;
            throw new Error("no memory");
          },
        },
      },
    });
    for (const text of ["secret", "€"]) {
      const [one, other] = [new Connection("server", settings), new Connection("server", settings)];
      for (const connection of [one, other]) pull(connection);
      const wire = fromPeer("server", { opcode: 1, payload: text });
      one.receive(wire.slice(0, -2), true);
      expect(pull(one)).toEqual([]);
      fails = true;
      one.receive(wire.slice(-2), true);
      expect(() => one.nextEvent()).toThrow("no memory");
      expect(pull(one)).toEqual([]);
      for (const connection of [other, one]) {
        const wrong = fromPeer("server", { opcode: 1, payload: bytes(0x82, 0xac) });
        connection.receive(wrong, true);
        const offset = (connection === one ? wire.length : 0) + 6;
        expect(summarize(pull(connection))).toMatchObject([
          { type: "closing", code: 1007, cause: { rule: "invalid-utf8", offset } },
        ]);
      }
    }
  });

  it("goes on with the message that could not be inflated", () => {
    let fails = true;
    const codec: DeflateCodec = {
      ...portableDeflate,
      inflator(windowBits) {
        const inflator = portableDeflate.inflator(windowBits);
        const pullOnce = inflator.pull.bind(inflator);
        inflator.pull = (...range) => {
          if (!fails) return pullOnce(...range);
          fails = false;
          throw new Error("no memory");
        };
        return inflator;
      },
    };
    const { client, server } = both({ codec, deflate: TAKEOVER });
    client.sendText("one of a kind");
    client.sendText("another");
    server.receive(takeAll(client));
    expect(() => server.nextEvent()).toThrow("no memory");
    expect(pull(server)).toMatchObject([{ text: "one of a kind" }, { text: "another" }]);
  });
});
