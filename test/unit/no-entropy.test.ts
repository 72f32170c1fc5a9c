import { describe, expect, it } from "vitest";

import { FrameWriter } from "../../src/index.js";
import { CODECS, both, TAKEOVER } from "../support/deflated.js";
import { fromPeer, opened, repeatable, takeFrames } from "../support/opened.js";
import { bytes, pull, summarize, takeAll } from "../support/wire.js";

// A platform's `random` that throws is the host's fault. What was to be masked is not sent then, and may be sent again.

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
