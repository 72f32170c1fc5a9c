import { constants, deflateRawSync, inflateRawSync } from "node:zlib";

import fc from "fast-check";
import { describe, expect } from "vitest";

import { portableDeflate } from "../../src/deflate/portable.js";
import type { Steps } from "../support/deflate.js";
import { deflate, expectBytes, inflate, WHOLE } from "../support/deflate.js";
import { holds } from "../support/property.js";

/** Some that nothing repeats in, some with short and far repetitions, some like what is sent. */
const anyMessage: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.uint8Array({ minLength: 1000, maxLength: 3000 }),
  fc
    .array(
      fc.record({
        part: fc.uint8Array({ minLength: 1, maxLength: 6 }),
        times: fc.integer({ min: 1, max: 400 }),
      }),
      { maxLength: 12 },
    )
    .map((runs) =>
      Uint8Array.from(
        runs.flatMap(({ part, times }) => Array.from({ length: times }, () => [...part]).flat()),
      ),
    ),
  fc
    .tuple(fc.uint8Array({ minLength: 200, maxLength: 1200 }), fc.uint8Array({ maxLength: 900 }))
    .map(([twice, between]) => Buffer.concat([twice, between, twice])),
  fc.json({ maxDepth: 4 }).map((text) => Buffer.from(text)),
  fc
    .array(
      fc.record({ id: fc.nat(9999), name: fc.constantFrom("alpha", "beta", "gamma"), on: fc.boolean() }),
      { maxLength: 60 },
    )
    .map((records) => Buffer.from(JSON.stringify(records))),
  // Large enough that buffers are moved and rings begin anew.
  fc
    .tuple(fc.nat(70_000), fc.integer({ min: 1, max: 255 }), fc.nat(12))
    .map(([length, factor, shift]) =>
      Uint8Array.from({ length }, (_, i) => (i * factor) ^ ((i * i) >> shift)),
    ),
);

const anySteps: fc.Arbitrary<Steps> = fc.oneof(
  fc.constant(WHOLE),
  fc.record({ input: fc.integer({ min: 1, max: 2000 }), output: fc.integer({ min: 1, max: 2000 }) }),
);

/** One message of a connection: how it is taken, and whether it begins with an empty window. */
const anyExchange = fc.record({ message: anyMessage, steps: anySteps, reset: fc.boolean() });
const anyExchanges = fc.array(anyExchange, { minLength: 1, maxLength: 5 });

/** What zlib gives back with `info`. */
interface Judged {
  readonly buffer: Buffer;
  /** How much of the input it has read. */
  readonly engine: { readonly bytesWritten: number };
}

describe("the portable codec", () => {
  holds(
    "inflates what zlib deflates, in any pieces",
    150,
    fc.property(
      anyMessage,
      anySteps,
      fc.integer({ min: 9, max: 15 }),
      fc.integer({ min: 0, max: 9 }),
      fc.constantFrom(
        constants.Z_DEFAULT_STRATEGY,
        constants.Z_HUFFMAN_ONLY,
        constants.Z_RLE,
        constants.Z_FIXED,
      ),
      (message, steps, windowBits, level, strategy) => {
        const packed = deflateRawSync(message, {
          finishFlush: constants.Z_SYNC_FLUSH,
          windowBits,
          level,
          strategy,
        });
        const payload = message.length === 0 ? Buffer.of(0) : packed.subarray(0, -4); // of nothing zlib makes nothing
        const inflator = portableDeflate.inflator(windowBits);
        expectBytes(inflate(inflator, payload, steps), message);
        // And once more, with the window as it is now.
        expectBytes(inflate(inflator, payload, steps), message);
      },
    ),
  );

  holds(
    "deflates what zlib inflates, message after message",
    100,
    fc.property(
      anyExchanges,
      fc.integer({ min: 9, max: 15 }),
      fc.integer({ min: 1, max: 9 }),
      (exchanges, windowBits, level) => {
        const deflator = portableDeflate.deflator(windowBits, level);
        let packed: Buffer[] = [];
        let messages: Uint8Array[] = [];
        for (const { message, steps, reset } of exchanges) {
          if (reset) {
            deflator.reset();
            packed = [];
            messages = [];
          }
          packed.push(deflate(deflator, message, steps));
          messages.push(message);
          const inflated = inflateRawSync(Buffer.concat(packed), {
            finishFlush: constants.Z_SYNC_FLUSH,
            windowBits,
          });
          expectBytes(inflated, Buffer.concat(messages));
        }
      },
    ),
  );

  holds(
    "understands itself, with no distance out of the window",
    150,
    fc.property(
      anyExchanges,
      fc.integer({ min: 8, max: 15 }),
      fc.integer({ min: 1, max: 9 }),
      anySteps,
      (exchanges, windowBits, level, steps) => {
        const deflator = portableDeflate.deflator(windowBits, level);
        const inflator = portableDeflate.inflator(windowBits);
        for (const { message, steps: sent, reset } of exchanges) {
          if (reset) {
            deflator.reset();
            inflator.reset();
          }
          const packed = deflate(deflator, message, sent);
          expect(packed.subarray(-4).toString("hex")).toBe("0000ffff");
          expectBytes(inflate(inflator, packed.subarray(0, -4), steps), message);
        }
      },
    ),
  );

  holds(
    "judges any bytes as zlib does",
    400,
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 60 }),
        // A lawful stream with one byte changed.
        fc.tuple(anyMessage, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([message, place, change]) => {
          const packed = deflateRawSync(message.subarray(0, 5000), { finishFlush: constants.Z_SYNC_FLUSH });
          if (packed.length > 0)
            packed[place % packed.length] = (packed[place % packed.length] ?? 0) ^ change;
          return packed;
        }),
      ),
      anySteps,
      (bytes, steps) => {
        // Much is behind it, so that neither waits for more before it says what is wrong.
        const payload = Buffer.concat([bytes, Buffer.alloc(64)]);
        const verdict = inflate(portableDeflate.inflator(15), payload, steps);
        let theirs: Judged;
        try {
          theirs = inflateRawSync(payload, {
            finishFlush: constants.Z_SYNC_FLUSH,
            info: true,
          }) as unknown as Judged;
        } catch (error) {
          expect((error as NodeJS.ErrnoException).code).toBe("Z_DATA_ERROR");
          expect(verdict).toBe("fault");
          return;
        }
        // At a final block zlib stops, and what is behind it is a matter of its own (RFC 7692 7.2.3.4).
        if (verdict === "fault") expect(theirs.engine.bytesWritten).toBeLessThan(payload.length);
        else if (verdict !== "cut off") expectBytes(verdict.subarray(0, theirs.buffer.length), theirs.buffer);
      },
    ),
  );
});
