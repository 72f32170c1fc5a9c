import fc from "fast-check";
import { describe, expect } from "vitest";

import { Output } from "../../src/bytes/output.js";
import { Connection } from "../../src/index.js";
import { seededRandom } from "../../src/testing/index.js";
import { concat, frameBytes, other, pingFrame, role } from "../support/arbitraries.js";
import type { Plan } from "../support/history.js";
import { anyPlan, History } from "../support/history.js";
import { hex, pull, takeAll } from "../support/observe.js";
import { parseMessages } from "../support/parser.js";
import { holds } from "../support/property.js";

/** What was sent after the opening handshake; undefined where there is nothing that follows one. */
function framesSent({ side, open }: Plan, { sent: bytes, cut }: History): Uint8Array | undefined {
  if (open) return bytes;
  const text = Buffer.from(bytes).toString("latin1");
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) {
    if (!cut) expect(text).toBe("");
    return undefined;
  }
  const head = text.slice(0, headEnd);
  expect(head.split("\r\n").slice(1)).toSatisfy((lines: string[]) =>
    lines.every((line) => /^[!-9;-~]+: [\t -~\u0080-\u00ff]*$/.test(line)),
  );
  if (side === "client") {
    expect(head.split("\r\n")[0]).toBe("GET / HTTP/1.1");
    return bytes.subarray(headEnd + 4);
  }
  if (head.startsWith("HTTP/1.1 101 ")) return bytes.subarray(headEnd + 4);
  // A refusal: its body, of the length that the head says, and nothing more.
  expect(head).toMatch(/^HTTP\/1\.1 [345][0-9]{2} /);
  const length = Number(/\r\nContent-Length: ([0-9]+)/.exec(head)?.[1]);
  if (cut) expect(bytes.length - headEnd - 4).toBeLessThan(length);
  else expect(bytes.length - headEnd - 4).toBe(length);
  return undefined;
}

describe("what is sent", () => {
  holds(
    "an independent parser accepts it: masked iff a client's, lengths minimal, fragments in order, UTF-8, nothing after Close",
    700,
    fc.property(anyPlan, (plan) => {
      const history = new History(plan);
      for (const step of plan.steps) history.do(step);
      history.take();
      history.look();
      history.take();
      const frames = framesSent(plan, history);
      if (frames !== undefined) parseMessages(frames, plan.side, history.cut);
    }),
  );

  holds(
    "nothing is said after the peer was told that its fault fails the connection: the Close is the last frame, its code the event's",
    300,
    fc.property(anyPlan, (plan) => {
      const history = new History({ ...plan, open: true });
      history.do({ do: "receive", count: Infinity, owned: false });
      history.look();
      for (const step of plan.steps) history.do(step);
      history.take();
      const closing = history.events.find(({ type }) => type === "closing");
      const last = parseMessages(history.sent, plan.side, history.cut).at(-1);
      if (closing === undefined || history.connection.transport === "destroy") return;
      expect(last?.type).toBe("close");
      const code = last?.payload.length === 0 ? 1005 : Buffer.from(last?.payload ?? []).readUInt16BE(0);
      const answered = history.events.some(({ type }) => type === "closing") && code !== closing["code"];
      // Only where we had closed first, our own code stands there.
      if (answered) expect(plan.steps.some((step) => step.do === "close")).toBe(true);
    }),
  );

  holds(
    "every ping is answered in order while fewer than 64 pongs wait, then only the latest, and none after a Close (RFC 6455 5.5.3)",
    150,
    fc.property(
      role,
      fc.array(fc.array(pingFrame, { maxLength: 100, size: "max" }), { maxLength: 4 }),
      fc.boolean(),
      (side, floods, closes) => {
        const connection = new Connection(side, { platform: { random: seededRandom(1) } });
        const expected: string[] = [];
        const output: Uint8Array[] = [];
        floods.forEach((pings, index) => {
          connection.receive(concat(pings.map((ping) => frameBytes(ping, other(side)))));
          pull(connection);
          const payloads = pings.map(({ payload }) => hex(payload));
          expected.push(...payloads.slice(0, 64));
          const last = payloads.at(-1);
          const closesNow = closes && index === floods.length - 1;
          if (closesNow) connection.close(1000);
          if (payloads.length > 64 && last !== undefined) expected.push(last);
          output.push(takeAll(connection));
        });
        const messages = parseMessages(concat(output), side);
        const pongs = messages.filter(({ type }) => type === "pong").map(({ payload }) => hex(payload));
        // The latest may be left out before our own Close.
        if (closes && pongs.length === expected.length - 1) expected.pop();
        expect(pongs).toEqual(expected);
      },
    ),
  );
});

describe("slices of what is sent", () => {
  holds(
    "are the same bytes, in the same order, as all at once, and never more than was asked for",
    200,
    fc.property(
      anyPlan,
      fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.nat(2000)), { minLength: 1 }),
      (plan, sizes) => {
        const commands = plan.steps.filter(
          (step) => step.do.startsWith("send") || step.do.startsWith("write"),
        );
        const options = { ...plan.options, limits: {} };
        const [whole, sliced] = [0, 1].map(() => new History({ ...plan, options, open: true })) as [
          History,
          History,
        ];
        commands.forEach((step, index) => {
          whole.do(step);
          sliced.do(step);
          sliced.take((sizes[index % sizes.length] ?? 0) + 1);
        });
        whole.take();
        for (let index = 0; sliced.connection.outputSize > 0; index++) {
          const max = (sizes[index % sizes.length] ?? 0) + 1;
          const before = sliced.output.length;
          const size = sliced.connection.outputSize;
          sliced.take(max);
          const slice = concat(sliced.output.slice(before)).length;
          expect(slice).toBe(Math.min(max, size));
          expect(sliced.connection.outputSize).toBe(size - slice);
        }
        expect(hex(sliced.sent)).toBe(hex(whole.sent));
      },
    ),
  );
});

describe("the same inputs", () => {
  holds(
    "the same calls, clock and entropy give the same bytes and the same events, whatever else is going on",
    300,
    fc.property(anyPlan, anyPlan, (plan, noise) => {
      const first = new History(plan);
      for (const step of plan.steps) first.do(step);
      first.take();
      // The second run shares the process, and its buffers, with another connection.
      const second = new History(plan);
      const another = new History(noise);
      plan.steps.forEach((step, index) => {
        const between = noise.steps[index];
        if (between !== undefined) another.do(between);
        second.do(step);
      });
      second.take();
      expect(hex(second.sent)).toBe(hex(first.sent));
      expect(second.events).toEqual(first.events);
    }),
  );

  holds(
    "what was taken is never rewritten",
    200,
    fc.property(anyPlan, (plan) => {
      const history = new History(plan);
      const copies: string[] = [];
      for (const step of plan.steps) {
        history.do(step);
        for (const chunk of history.output.slice(copies.length)) copies.push(hex(chunk));
      }
      expect(history.output.map(hex)).toEqual(copies);
    }),
  );

  holds(
    "a caller's bytes are never changed",
    200,
    fc.property(anyPlan, (plan) => {
      const of = (): string =>
        plan.steps.map((step) => ("payload" in step ? hex(step.payload) : "")).join(" ") + hex(plan.stream);
      const before = of();
      const history = new History(plan);
      for (const step of plan.steps) history.do(step);
      history.take();
      expect(of()).toBe(before);
    }),
  );
});

describe("outputs that share a slab", () => {
  const anySize = fc.oneof(
    { weight: 8, arbitrary: fc.nat(40) },
    fc.nat(9000),
    fc.nat(40_000),
    fc.constant(16_384),
    fc.nat(300_000),
  );
  const anyStep = fc.record({
    of: fc.nat(2),
    // Takes and what follows them are what it is about.
    do: fc.constantFrom(
      ...[
        "write",
        "write",
        "write",
        "copy",
        "pass",
        "take",
        "take",
        "takeSome",
        "written",
        "written",
        "written",
      ],
      "clear",
    ),
    size: anySize,
  });

  holds(
    "what is queued, and what was taken and is not written, stays as it is",
    400,
    fc.property(fc.array(anyStep, { minLength: 20, maxLength: 200 }), (steps) => {
      const outputs = [new Output(), new Output(), new Output()];
      const queued: Uint8Array[] = [NOTHING, NOTHING, NOTHING];
      /** By output and by take; a take that was written has nothing. */
      const taken: { chunk: Uint8Array; copy: Uint8Array }[][][] = [[], [], []];
      let next = 0;
      const check = (): void => {
        for (const { chunk, copy } of taken.flat(2)) expect(Buffer.compare(chunk, copy)).toBe(0);
      };
      const keep = (of: number, chunks: readonly Uint8Array[] = []): void => {
        if (chunks.length > 0) taken[of]?.push([]);
        for (const chunk of chunks) {
          const copy = queued[of]?.slice(0, chunk.length) ?? NOTHING;
          queued[of] = queued[of]?.subarray(chunk.length) ?? NOTHING;
          expect(Buffer.compare(chunk, copy)).toBe(0);
          taken[of]?.at(-1)?.push({ chunk, copy });
        }
      };
      for (const { of, do: what, size } of steps) {
        const output = outputs[of] as Output;
        const data = new Uint8Array(size).fill((next = (next % 255) + 1));
        if (what === "write") {
          const at = output.reserve(size + 14);
          output.target.set(data, at);
          output.commit(size);
          queued[of] = concat([queued[of] ?? NOTHING, data]);
        } else if (what === "copy" || what === "pass") {
          if (size === 0) continue;
          output[what](data);
          queued[of] = concat([queued[of] ?? NOTHING, data]);
        } else if (what === "take") {
          keep(of, output.take());
          expect(queued[of]).toHaveLength(0);
        } else if (what === "takeSome") {
          keep(of, output.take(size + 1));
        } else if (what === "written") {
          taken[of]?.splice(-1, 1, []); // what was taken last, and nothing else
          output.written();
        } else {
          output.clear();
          queued[of] = NOTHING;
        }
        check();
      }
      for (const of of [0, 1, 2]) keep(of, outputs[of]?.take());
      check();
    }),
  );
});

const NOTHING = new Uint8Array(0);
