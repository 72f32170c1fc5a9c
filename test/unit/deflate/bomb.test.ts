import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { constants, deflateRawSync } from "node:zlib";

import { describe, expect, it } from "vitest";

import type { Connection } from "../../../src/index.js";
import { CODECS, end, NO_TAKEOVER, TAKEOVER } from "../../support/deflated.js";
import { concat, frame } from "../../support/wire.js";

// 1 GiB of zeros in 1 MiB: what it may cost is not its size.

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes in use, on the heap and beside it. */
function memory(): number {
  collect();
  collect(); // buffers are given back behind the first
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** One message of 1 GiB, in fragments of a server. */
const BOMB = ((): Uint8Array => {
  const mebibyte = deflateRawSync(new Uint8Array(MIB), { finishFlush: constants.Z_SYNC_FLUSH, level: 9 });
  const payload = concat([...Array.from({ length: 1024 }, () => mebibyte), Uint8Array.of(0)]);
  const frames: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += 50_000) {
    const fin = at + 50_000 >= payload.length;
    const first = at === 0 ? { opcode: 2, rsv: 4 } : { opcode: 0 };
    frames.push(frame({ ...first, fin, payload: payload.subarray(at, at + 50_000) }));
  }
  return concat(frames);
})();

/** Hands over as much of the bomb as is wanted. */
class Feed {
  at = 0;

  to(connection: Connection): void {
    while (this.at < BOMB.length && connection.wantsInput) {
      connection.receive(BOMB.subarray(this.at, (this.at += 16_384)));
    }
  }
}

describe.each(CODECS)("a bomb of 1 GiB of zeros, with %s", (_, codec) => {
  it("is about 1 MiB on the wire", () => {
    expect(BOMB.length).toBeLessThan(1.1 * MIB);
  });

  it.each([
    ["with takeover", TAKEOVER, false],
    ["without", NO_TAKEOVER, false],
    ["with streaming", TAKEOVER, true],
  ])("against a limit of 64 KiB is held in under 1 MiB, %s", (__, deflate, streaming) => {
    const options = { limits: { message: 65_536 }, streaming };
    const measure = (): number => {
      const connection = end("client", { codec, deflate, options });
      const before = memory();
      let told = 0;
      for (let at = 0; at < BOMB.length; at += 16_384) {
        connection.receive(BOMB.subarray(at, at + 16_384));
        for (const event of connection.events()) {
          if (event.type === "binary") told += event.size;
          if (event.type === "closing")
            expect(event).toMatchObject({ code: 1009, cause: { rule: "message-limit" } });
        }
        if (at % (16_384 * 8) === 0) grown = Math.max(grown, memory() - before);
      }
      expect(connection.state).toBe("closing");
      return told;
    };
    let grown = 0;
    measure(); // what is made once, is made
    grown = 0;
    expect(measure()).toBe(streaming ? 65_536 : 0);
    expect(grown).toBeLessThan(MIB);
  });

  it("with streaming and no limit, pulled at the application's pace, all of it comes, and is held in under 1 MiB", () => {
    const options = { limits: { message: Infinity }, streaming: true };
    const connection = end("client", { codec, deflate: TAKEOVER, options });
    const feed = new Feed();
    let told = 0;
    let before = 0;
    let grown = 0;
    let largest = 0;
    for (let events = 0, final = false; !final; events++) {
      feed.to(connection);
      const event = connection.nextEvent();
      if (event === undefined) continue;
      if (event.type !== "binary") throw new Error(`a ${event.type} after ${told} bytes`);
      ({ final } = event);
      told += event.size;
      largest = Math.max(largest, event.size);
      if (events === 100) before = memory();
      else if (events % 4000 === 3999) grown = Math.max(grown, memory() - before);
    }
    expect(told).toBe(GIB);
    expect(largest).toBeLessThanOrEqual(16_384);
    expect(grown).toBeLessThan(MIB);
  });
});
