import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { describe, expect, it } from "vitest";

import { Input } from "../../src/bytes/input.js";
import { Output } from "../../src/bytes/output.js";
import { reachableBytes, snapshot } from "../support/snapshot.js";
import { bytes, concat, toHex } from "../support/wire.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Reads all, or up to `count` bytes. */
function read(input: Input, count = Infinity): Uint8Array {
  const all: number[] = [];
  while (all.length < count && (input.position < input.end || input.advance()))
    all.push(input.bytes[input.position++] ?? -1);
  return Uint8Array.from(all);
}

describe("Input", () => {
  for (const owned of [[false], [true], [true, false], [false, false, true], [true, true, false]]) {
    for (const sizes of [[1], [3], [1, 2, 3, 0], [1024], [1, 1023, 1, 5000], [700, 700]]) {
      it(`gives back what came, in order: chunks of ${sizes.join()}, owned ${owned.join()}`, () => {
        const input = new Input();
        const expected: Uint8Array[] = [];
        const actual: Uint8Array[] = [];
        let taken = 0;
        let stored = 0;
        for (let i = 0; i < 300; i++) {
          const size = sizes[i % sizes.length] ?? 0;
          const chunk = Uint8Array.from({ length: size }, (_, k) => (i * 13 + k) & 0xff);
          expected.push(chunk.slice());
          const own = owned[i % owned.length] === true;
          input.push(chunk, own);
          if (!own) chunk.fill(0xee); // it was copied
          stored += size;
          expect(input.size).toBe(stored);
          if (i % 3 === 2) {
            const some = read(input, (i * 7) % 50);
            actual.push(some);
            taken += some.length;
            stored -= some.length;
            expect(input.size).toBe(stored);
            expect(input.offset).toBe(taken);
          }
        }
        actual.push(read(input));
        const all = concat(expected);
        expect(Buffer.compare(concat(actual), all)).toBe(0);
        expect(input.size).toBe(0);
        expect(input.offset).toBe(all.length);
        expect(input.advance()).toBe(false);
        expect(input.offset).toBe(all.length);
        expect(reachableBytes(input)).toBeLessThan(200);
      });
    }
  }

  it("keeps owned bytes themselves, and copies the others", () => {
    const chunk = bytes(1, 2, 3);
    const input = new Input();
    input.push(chunk, true);
    expect(input.bytes).toBe(chunk);
    const other = new Input();
    other.push(chunk, false);
    expect(other.bytes.buffer).not.toBe(chunk.buffer);
    expect(toHex(read(other))).toBe("010203");
  });

  it("copies a Buffer, whose slice() would not", () => {
    const chunk = Buffer.from([1, 2, 3]);
    const input = new Input();
    input.push(chunk, false);
    input.push(chunk, false);
    chunk.fill(9);
    expect(toHex(read(input))).toBe("010203010203");
  });

  it("stores many bytes that came one by one in space of their order", () => {
    const input = new Input();
    for (let i = 0; i < 20_000; i++) input.push(bytes(i & 0xff), false);
    expect(input.size).toBe(20_000);
    expect(reachableBytes(input)).toBeLessThan(30_000);
    expect(read(input)).toHaveLength(20_000);
  });

  it("clear() drops what is stored, says how much, and counts it as read", () => {
    const input = new Input();
    for (let i = 0; i < 10; i++) input.push(bytes(1, 2, 3), false);
    read(input, 4);
    expect(input.clear()).toBe(26);
    expect(input.size).toBe(0);
    expect(input.offset).toBe(30);
    expect(input.clear()).toBe(0);
    input.push(bytes(7), false);
    expect(toHex(read(input))).toBe("07");
    expect(input.offset).toBe(31);
  });
});

describe("Output", () => {
  const write = (output: Output, data: Uint8Array): void => {
    const offset = output.reserve(data.length + 20);
    output.target.set(data, offset);
    output.commit(data.length);
  };

  it("gives back what was written, copied and passed, in order, and counts it", () => {
    const [output, other] = [new Output(), new Output()];
    const written: Uint8Array[] = [];
    let size = 0;
    for (let i = 0; i < 500; i++) {
      const data = Uint8Array.from({ length: (i * 97) % 1500 }, (_, k) => (i + k) & 0xff);
      written.push(data);
      if (i % 3 === 0) output.copy(data);
      else if (i % 3 === 1 && data.length > 0) output.pass(data);
      else write(output, data);
      if (i % 5 === 0) write(other, bytes(0xee, 0xee)); // the slab is shared
      size += data.length;
      expect(output.size).toBe(size);
    }
    const taken = concat(output.take() ?? []);
    expect(Buffer.compare(taken, concat(written))).toBe(0);
    expect(output.size).toBe(0);
    expect(output.take()).toBeUndefined();
    expect(concat(other.take() ?? []).every((byte) => byte === 0xee)).toBe(true);
  });

  it("passes bytes themselves, and copies what is to be copied", () => {
    const output = new Output();
    const data = bytes(1, 2);
    output.pass(data);
    output.copy(data);
    data.fill(5);
    expect(toHex(concat(output.take() ?? []))).toBe("05050102");
  });

  it("takes more than a slab holds", () => {
    const output = new Output();
    const data = new Uint8Array(100_000).fill(3);
    write(output, data);
    write(output, bytes(4));
    expect(output.size).toBe(100_001);
    const taken = concat(output.take() ?? []);
    expect(taken.length).toBe(100_001);
    expect(taken[99_999]).toBe(3);
    expect(taken[100_000]).toBe(4);
  });

  describe("take(max)", () => {
    const patterned = (length: number, seed = 0): Uint8Array =>
      Uint8Array.from({ length }, (_, k) => (seed * 31 + k * 7) & 0xff);

    for (const max of [1, 2, 3, 5, 7, 100, 4096, 16_384, 20_000]) {
      it(`gives slices of ${max}, in order, each as large as may be, and counts what is left`, () => {
        const output = new Output();
        const written = [3, 5000, 1, 700, 17_000, 2].map((length, index) => patterned(length, index));
        written.forEach((data, index) => {
          if (index % 2 === 0) write(output, data);
          else output.pass(data);
        });
        const all = concat(written);
        let at = 0;
        for (let taken = output.take(max); taken !== undefined; taken = output.take(max)) {
          const slice = concat(taken);
          expect(slice.length).toBe(Math.min(max, all.length - at));
          if (Buffer.compare(slice, all.subarray(at, at + slice.length)) !== 0) expect.fail(`at ${at}`);
          at += slice.length;
          expect(output.size).toBe(all.length - at);
        }
        expect(at).toBe(all.length);
        expect(reachableBytes(output)).toBeLessThan(200);
      });
    }

    it("gives all where it is not more than max", () => {
      for (const max of [5, 6, Infinity]) {
        const output = new Output();
        write(output, bytes(1, 2));
        output.pass(bytes(3, 4, 5));
        expect(toHex(concat(output.take(max) ?? []))).toBe("0102030405");
        expect(output.size).toBe(0);
        expect(output.take(max)).toBeUndefined();
      }
    });

    it("writes between slices stand behind what is left, copied and passed", () => {
      const [output, other] = [new Output(), new Output()];
      const expected: Uint8Array[] = [];
      const taken: Uint8Array[] = [];
      let size = 0;
      for (let i = 0; i < 600; i++) {
        const data = patterned((i * 97) % 900, i);
        expected.push(data);
        if (i % 3 === 0) output.copy(data);
        else if (i % 3 === 1 && data.length > 0) output.pass(data);
        else write(output, data);
        if (i % 5 === 0) write(other, bytes(0xee, 0xee)); // the slab is shared
        size += data.length;
        const max = 1 + ((i * 61) % 700);
        const slice = concat(output.take(max) ?? []);
        expect(slice.length).toBe(Math.min(max, size));
        size -= slice.length;
        expect(output.size).toBe(size);
        taken.push(slice);
      }
      taken.push(...(output.take() ?? []));
      expect(Buffer.compare(concat(taken), concat(expected))).toBe(0);
      expect(output.size).toBe(0);
    });

    it("what was taken is never rewritten, nor is what is left of its chunk", () => {
      const output = new Output();
      write(output, bytes(1, 2, 3, 4));
      const first = output.take(3) ?? [];
      for (let i = 0; i < 3000; i++) write(output, bytes(9, 9, 9, 9, 9, 9, 9, 9));
      expect(toHex(concat(first))).toBe("010203");
      expect(toHex(concat(output.take(3) ?? []))).toBe("040909");
      expect(output.size).toBe(3000 * 8 - 2);
    });

    it("of very many chunks lets go of those that were taken", () => {
      const output = new Output();
      const count = 20_000;
      for (let i = 0; i < count; i++) output.pass(bytes(i & 0xff, i >> 8));
      const full = reachableBytes(output);
      for (let i = 0; i < count - 10; i++) {
        if (toHex(concat(output.take(2) ?? [])) !== toHex(bytes(i & 0xff, i >> 8))) expect.fail(`chunk ${i}`);
        if (i === count / 2) expect(reachableBytes(output)).toBeLessThan(full * 0.75);
      }
      expect(output.size).toBe(20);
      expect(reachableBytes(output)).toBeLessThan(full / 50);
      expect(concat(output.take() ?? []).length).toBe(20);
    });

    it("lets go of each chunk that was taken, at once", () => {
      const output = new Output();
      for (let i = 0; i < 60; i++) output.pass(new Uint8Array(100_000));
      for (let left = 59; left > 0; left--) {
        output.take(100_000);
        expect(reachableBytes(output)).toBeLessThan(left * 100_000 + 5000);
      }
    });

    it("that never empties it keeps no trace of what was taken", () => {
      const output = new Output();
      output.pass(bytes(0));
      for (let i = 0; i < 10_000; i++) {
        output.pass(bytes(i & 0xff));
        output.take(1);
      }
      expect(output.size).toBe(1);
      expect(snapshot(output).length).toBeLessThan(5000);
    });

    it("takes the last of many chunks at once, wherever the slices ended", () => {
      for (const slices of [1, 40, 63, 64, 65, 90, 99]) {
        const output = new Output();
        for (let i = 0; i < 100; i++) output.pass(bytes(i));
        for (let i = 0; i < slices; i++) expect(output.take(1)).toEqual([bytes(i)]);
        output.pass(bytes(100));
        const rest = concat(output.take() ?? []);
        expect([...rest]).toEqual(Array.from({ length: 101 - slices }, (_, i) => slices + i));
        expect(output.size).toBe(0);
        output.pass(bytes(101));
        output.pass(bytes(102));
        expect(output.take(1)).toEqual([bytes(101)]);
        expect(output.take(1)).toEqual([bytes(102)]);
      }
    });

    it("clear() drops what a slice left", () => {
      const output = new Output();
      output.pass(bytes(1, 2, 3));
      write(output, bytes(4));
      output.take(2);
      output.clear();
      expect(output.size).toBe(0);
      expect(output.take(1)).toBeUndefined();
      write(output, bytes(5, 6));
      expect(toHex(concat(output.take(1) ?? []))).toBe("05");
    });
  });

  it("clear() drops what is queued", () => {
    const output = new Output();
    write(output, bytes(1));
    output.pass(bytes(2));
    write(output, bytes(3));
    output.clear();
    expect(output.size).toBe(0);
    expect(output.take()).toBeUndefined();
    write(output, bytes(4));
    expect(toHex(concat(output.take() ?? []))).toBe("04");
  });

  describe("what was taken and written makes room in its slab, not in the next one", () => {
    const half = 16_384;
    /** Queues half a slab; returns the slab. */
    const fill = (output: Output, value: number): Uint8Array => {
      const at = output.reserve(half);
      output.target.fill(value, at, at + half);
      output.commit(half);
      return output.target;
    };
    /** What comes next begins a slab. */
    const endSlab = (): void => {
      const begin = fill(new Output(), 0);
      while (fill(new Output(), 0) === begin);
      fill(new Output(), 0);
    };

    it("where it was taken before the next one began", () => {
      endSlab();
      const [first, second, third] = [new Output(), new Output(), new Output()];
      const slab = fill(first, 1); // the first half of a slab
      expect(new Set(concat(first.take() ?? []))).toEqual(new Set([1]));
      first.written();
      expect(fill(first, 2)).toBe(slab); // and again
      first.take();
      fill(new Output(), 0); // its second half
      expect(fill(second, 3)).not.toBe(slab);
      first.written();
      fill(third, 4);
      expect(new Set(concat(second.take() ?? []))).toEqual(new Set([3]));
    });

    it("where it was taken after that", () => {
      endSlab();
      const [first, second, third] = [new Output(), new Output(), new Output()];
      const slab = fill(first, 1);
      fill(new Output(), 0); // its second half
      expect(fill(second, 3)).not.toBe(slab);
      expect(new Set(concat(first.take() ?? []))).toEqual(new Set([1])); // it ends where the other does
      first.written();
      fill(third, 4);
      expect(new Set(concat(second.take() ?? []))).toEqual(new Set([3]));
    });
  });

  it("what was taken and written is handed over again, with other bytes, and nothing that was not written", () => {
    const output = new Output();
    const send = (value: number, length: number): Uint8Array => {
      write(output, new Uint8Array(length).fill(value));
      const [run, ...more] = output.take() ?? [];
      expect(more).toEqual([]);
      return run ?? expect.fail("nothing was taken");
    };
    send(0, 20);
    output.written();
    const first = send(1, 20);
    output.written();
    expect(send(2, 20)).toBe(first);
    output.written();
    const shorter = send(3, 19);
    expect(shorter).toEqual(new Uint8Array(19).fill(3));
    output.written();
    // Another's, and an end that goes beyond it: from there on views are others.
    const other = new Output();
    write(other, new Uint8Array(5).fill(9));
    expect(send(3, 20)).not.toBe(first);
    output.written();
    const [others] = other.take() ?? [];
    const again = send(3, 20);
    expect(again).not.toBe(first);
    output.written();
    const held = send(4, 20);
    expect(held).toBe(again);
    // Not written: what follows stands behind it.
    const next = send(5, 20);
    expect(next).not.toBe(first);
    output.written();
    expect(send(6, 20)).not.toBe(first);
    expect(send(7, 255)).toEqual(new Uint8Array(255).fill(7));
    expect(send(8, 256)).toEqual(new Uint8Array(256).fill(8));
    expect(held).toEqual(new Uint8Array(20).fill(4));
    expect(others).toEqual(new Uint8Array(5).fill(9));
  });

  it("of slabs that were written and left nothing is kept", async () => {
    const [writer, other] = [new Output(), new Output()];
    const slabs: WeakRef<object>[] = [];
    for (let length = 1; length < 40; length++) {
      for (let i = 0; i < 3; i++) {
        write(writer, new Uint8Array(length));
        slabs.push(new WeakRef(writer.target.buffer));
        writer.take();
        writer.written();
      }
      for (let i = 0; i < 40; i++) {
        write(other, new Uint8Array(1000)); // on to the next slab
        other.take();
      }
    }
    await new Promise(setImmediate); // until then what was looked at is alive
    collect();
    const left = new Set(slabs.map((slab) => slab.deref())).size;
    expect(left).toBeLessThan(6);
  });

  describe("what a turn writes beyond the slab finds the memory of the turn before", () => {
    /** The buffers of `turns` turns of messages of so many bytes, each of which is taken, looked at, and written where `writes`. */
    const buffersOf = (size: number, count: number, turns: number, writes = true): Set<unknown> => {
      const buffers = new Set();
      const output = new Output();
      const held: [chunk: Uint8Array, value: number][] = [];
      for (let turn = 0; turn < turns; turn++) {
        for (let i = 0; i < count; i++) write(output, new Uint8Array(size).fill(turn));
        for (const chunk of output.take() ?? []) {
          buffers.add(chunk.buffer);
          held.push([chunk, turn]);
        }
        if (writes || turn === turns - 1) {
          for (const [chunk, value] of held)
            if (chunk.some((byte) => byte !== value)) expect.fail(`${size} bytes of turn ${value}`);
          held.length = 0;
        }
        if (writes) output.written();
      }
      return buffers;
    };

    for (const [size, count] of [
      [3000, 16],
      [4096, 16],
      [4096, 31],
      [12_000, 5],
      [16_384, 4],
    ] as const) {
      it(`${count} messages of ${size} bytes, wherever in the slab they begin`, () => {
        for (let begun = 0; begun < 40; begun++) {
          write(new Output(), new Uint8Array(1700));
          buffersOf(size, count, 3);
          expect(buffersOf(size, count, 30).size).toBeLessThan(4); // a slab and a room, and one that these begin with
        }
      });

      it(`${count} messages of ${size} bytes, but where it was not written`, () => {
        expect(buffersOf(size, count, 30, false).size).toBeGreaterThan(30);
      });
    }

    it("not where another's stands behind it in the slab", () => {
      const [output, other] = [new Output(), new Output()];
      for (let turn = 0; turn < 50; turn++) {
        for (let i = 0; i < 8; i++) write(output, new Uint8Array(4096).fill(1));
        write(other, bytes(2));
        for (let i = 0; i < 8; i++) write(output, new Uint8Array(4096).fill(3));
        output.take();
        output.written();
        const next = new Output();
        for (let i = 0; i < 7; i++) write(next, new Uint8Array(4096).fill(4));
        if (toHex(concat(other.take() ?? [])) !== "02") expect.fail(`turn ${turn}`);
      }
    });

    it("not for who was handed what another took", () => {
      const [output, first, second] = [new Output(), new Output(), new Output()];
      for (let i = 0; i < 16; i++) write(output, new Uint8Array(4096).fill(1));
      const [run = bytes()] = output.take() ?? [];
      for (const one of [first, second]) one.pass(run);
      first.take();
      first.written();
      for (let i = 0; i < 7; i++) write(new Output(), new Uint8Array(4096).fill(2));
      expect(new Set(concat(second.take() ?? []))).toEqual(new Set([1]));
    });

    it("and what is large finds its own still", () => {
      const large = new Output();
      const rooms = new Set();
      for (let turn = 0; turn < 20; turn++) {
        large.reserve(1_000_000);
        rooms.add(large.target);
        large.commit(1_000_000);
        large.take();
        large.written();
        buffersOf(4096, 16, 1);
      }
      expect(rooms.size).toBe(1);
    });

    it("and nobody gets a room of 2 MiB for a few bytes behind what was passed", () => {
      const output = new Output();
      output.reserve(2_000_000);
      output.commit(2_000_000);
      output.take();
      output.written();
      const slow = new Output();
      write(slow, bytes(1));
      slow.pass(new Uint8Array(262_144));
      write(new Output(), bytes(2));
      write(slow, bytes(3));
      expect(slow.target.length).toBeLessThanOrEqual(262_144 + 1);
    });
  });

  describe("what was taken of a large message and written makes room for the next", () => {
    /** Writes a message, and returns the array that it is in. */
    const fill = (output: Output, size: number, value: number): Uint8Array => {
      const at = output.reserve(size);
      const { target } = output;
      target.fill(value, at, at + size);
      output.commit(size);
      return target;
    };
    const LARGE = 300_000;
    /** A room of two million bytes that is the spare one now. */
    const makeSpare = (): Uint8Array => {
      const output = new Output();
      const size = 2_000_000;
      const room = fill(output, size, 0);
      output.take();
      output.written();
      expect(fill(output, size, 0)).toBe(room);
      output.take();
      output.written();
      return room;
    };

    it("in one take", () => {
      const room = makeSpare();
      const output = new Output();
      expect(fill(output, LARGE, 1)).toBe(room);
      output.take();
      expect(fill(output, LARGE, 2)).not.toBe(room); // not written yet
    });

    it("in slices, each of which was written", () => {
      const room = makeSpare();
      const output = new Output();
      expect(fill(output, LARGE, 1)).toBe(room);
      while (output.take(100_000) !== undefined) output.written();
      expect(fill(output, LARGE, 2)).toBe(room);
    });

    it.each([0, 1])("not in slices of which number %i was not", (missing) => {
      const room = makeSpare();
      const output = new Output();
      expect(fill(output, LARGE, 1)).toBe(room);
      for (let i = 0; output.take(100_000) !== undefined; i++) if (i !== missing) output.written();
      expect(fill(output, LARGE, 2)).not.toBe(room);
    });

    it("not in slices with another's take between", () => {
      const room = makeSpare();
      const [output, other] = [new Output(), new Output()];
      expect(fill(output, LARGE, 1)).toBe(room);
      output.take(100_000);
      output.written();
      fill(other, 10, 2);
      other.take();
      output.take();
      output.written();
      expect(fill(output, LARGE, 3)).not.toBe(room);
    });

    it("not where more than eight times as much would be kept for it", () => {
      const room = makeSpare();
      expect(fill(new Output(), 250_000, 1) === room).toBe(true);
      const other = makeSpare();
      expect(fill(new Output(), 249_999, 1) === other).toBe(false);
    });

    it.each([17_000, 65_536, 200_000])("also after a much longer one: of %i bytes", (size) => {
      makeSpare();
      const output = new Output();
      const rooms = Array.from({ length: 10 }, () => {
        const room = fill(output, size, 1);
        output.take();
        output.written();
        return room;
      });
      expect(new Set(rooms).size).toBeLessThanOrEqual(2);
    });

    it("of several, together", () => {
      const output = new Output();
      const sizes = [17_000, 17_000, 17_000, 17_000];
      for (let i = 0; i < 3; i++) {
        for (const size of sizes) fill(output, size, i);
        output.take();
        output.written();
      }
      const rooms = sizes.map((size) => fill(output, size, 9));
      expect(new Set(rooms).size).toBe(1);
      expect(output.take()).toHaveLength(1);
    });

    it("over 2 MiB is not kept", () => {
      const output = new Output();
      const room = fill(output, 2_097_153, 1);
      output.take();
      output.written();
      expect(fill(new Output(), 2_097_153, 2)).not.toBe(room);
    });
  });

  it("holds nothing while it is empty", () => {
    const output = new Output();
    write(output, new Uint8Array(100));
    output.take();
    expect(reachableBytes(output)).toBeLessThan(100);
  });
});
