import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { ChunkQueue } from "../../src/adapters/chunks.js";
import { holds } from "../support/property.js";
import { reachableBytes } from "../support/snapshot.js";
import { concat } from "../support/wire.js";

/** Takes all that is queued, `step` bytes at most of each piece; gives the pieces as they were offered. */
function drain(queue: ChunkQueue, step: number): { offered: Uint8Array[]; taken: Uint8Array } {
  const offered: Uint8Array[] = [];
  const taken: Uint8Array[] = [];
  for (let bytes = queue.peek(); bytes !== undefined; bytes = queue.peek()) {
    offered.push(bytes);
    const part = bytes.subarray(0, step);
    taken.push(part.slice());
    queue.drop(part.length);
  }
  return { offered, taken: concat(taken) };
}

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

describe("a queue of chunks", () => {
  it.each([
    ["one chunk is passed through", [10], [10]],
    ["small ones are joined", [10, 20, 30], [60]],
    ["up to 64 KiB", [65530, 6, 1], [65536, 1]],
    ["large ones are passed through", [65536, 65537], [65536, 65537]],
    ["a small one does not wait for a large one", [10, 70000, 10, 10], [10, 70000, 20]],
  ])("%s: %j are offered as %j", (_, lengths, offered) => {
    const queue = new ChunkQueue();
    queue.push(lengths.map((length, i) => filled(length, i)));
    expect(drain(queue, Infinity).offered.map(({ length }) => length)).toEqual(offered);
    expect(queue.size).toBe(0);
  });

  it("drops what it offered, whatever was pushed since", () => {
    const queue = new ChunkQueue();
    queue.push([filled(1, 1), filled(2, 2)]);
    const offered = queue.peek();
    queue.push([filled(3, 3)]);
    expect(offered).toEqual(Uint8Array.of(1, 2, 2));
    queue.drop(3);
    expect(queue.peek()).toEqual(filled(3, 3));
  });

  it("holds nothing once it is cleared; what is dropped then is nothing", () => {
    const queue = new ChunkQueue();
    queue.push([filled(5, 1)]);
    queue.clear();
    queue.drop(5);
    expect([queue.size, queue.peek()]).toEqual([0, undefined]);
  });

  it.each([10, 40_000, 100_000])(
    "keeps nothing that is written, though it is never empty: %i bytes at a time",
    (size) => {
      const queue = new ChunkQueue();
      queue.push([filled(size, 0)]);
      for (let i = 0; i < 1000; i++) {
        const offered = queue.peek() as Uint8Array;
        queue.push([filled(size, i)]);
        queue.drop(offered.length);
        expect(queue.size).toBe(size);
      }
      expect(reachableBytes(queue)).toBeLessThan(3 * size + 5_000);
    },
  );

  it("nor the places of what is written, nor what was joined", () => {
    const queue = new ChunkQueue();
    const some = (): Uint8Array[] => Array.from({ length: 10 }, () => filled(1000, 1));
    queue.push(some());
    for (let i = 0; i < 1000; i++) {
      const offered = queue.peek() as Uint8Array;
      queue.push(some());
      queue.drop(offered.length);
      expect(reachableBytes(queue)).toBeLessThan(2 * 11_000);
    }
    expect((queue as unknown as { chunks: unknown[] }).chunks.length).toBeLessThan(200);
  });

  holds(
    "every byte comes in order, however much is taken at once",
    200,
    fc.property(
      fc.array(fc.array(fc.uint8Array({ maxLength: 100 })), { maxLength: 20 }),
      fc.integer({ min: 1, max: 300 }),
      (pushes, step) => {
        const queue = new ChunkQueue();
        for (const chunks of pushes) queue.push(chunks);
        const all = concat(pushes.flat());
        expect(queue.size).toBe(all.length);
        expect(drain(queue, step).taken).toEqual(all);
        expect(queue.size).toBe(0);
      },
    ),
  );
});
