import { describe, expect, it } from "vitest";
import { isCloseCode, RULES, UsageError } from "../../src/index.js";
import { fromPeer, opened, ROLES, takeFrames } from "../support/opened.js";
import { snapshot } from "../support/snapshot.js";
import { INVALID, VALID } from "../../src/conformance/utf8.js";
import {
  bytes,
  closePayload,
  concat,
  feedings,
  fromHex,
  pull,
  queued,
  summarize,
  toHex,
} from "../support/wire.js";

/** RFC 6455 7.4 and the registry of close codes. */
const LAWFUL = new Set([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]);
for (let code = 3000; code <= 4999; code++) LAWFUL.add(code);

/** Around each edge. */
const CODES = [
  ...[0, 1, 100, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013],
  ...[1014, 1015, 1016, 1100, 1999, 2000, 2999, 3000, 3001, 3999, 4000, 4999, 5000, 5001, 32768, 65535],
];

function usageCode(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof UsageError) return error.code;
    throw error;
  }
  return "nothing thrown";
}

describe("isCloseCode", () => {
  it("7.4: holds for exactly the codes that may be on the wire", () => {
    const held = Array.from({ length: 65536 }, (_, code) => code).filter(isCloseCode);
    expect(held).toEqual([...LAWFUL]);
  });

  it.each([1000.5, NaN, Infinity, -Infinity, -1000, 2 ** 32 + 1000])("does not hold for %d", (code) => {
    expect(isCloseCode(code)).toBe(false);
  });
});

for (const role of ROLES) {
  describe(`close codes of a ${role}`, () => {
    for (const code of CODES) {
      const lawful = LAWFUL.has(code);
      it(`7.4: ${code} ${lawful ? "may be" : "may not be"} received`, () => {
        const wire = fromPeer(role, { opcode: 8, payload: closePayload(code, "why") });
        const late = fromPeer(role, { opcode: 1, payload: "late" });
        for (const way of [...feedings, queued]) {
          const connection = opened(role);
          const rule = lawful ? "closed" : "close-code";
          expect(summarize(way.feed(connection, concat([wire, late])))).toEqual([
            {
              type: "closing",
              code: lawful ? code : 1002,
              reason: lawful ? "why" : RULES["close-code"].says,
              cause: { by: "peer", rule, offset: wire.length - 5 },
            },
          ]);
          const answer = lawful ? closePayload(code, "why") : closePayload(1002, RULES["close-code"].says);
          expect(takeFrames(connection).map(({ opcode, payload }) => [opcode, toHex(payload)])).toEqual([
            [8, toHex(answer)],
          ]);
          connection.receiveEnd();
          expect(summarize(pull(connection))).toMatchObject([
            { type: "closed", code: lawful ? code : 1006, reason: lawful ? "why" : "", clean: lawful },
          ]);
        }
      });

      it(`7.4: ${code} ${lawful ? "may be" : "may not be"} sent`, () => {
        const connection = opened(role);
        if (lawful) {
          expect(connection.close(code, "why")).toBe(true);
          expect(takeFrames(connection).map(({ opcode, payload }) => [opcode, toHex(payload)])).toEqual([
            [8, toHex(closePayload(code, "why"))],
          ]);
          expect(connection.state).toBe("closing");
        } else {
          const before = snapshot(connection);
          expect(usageCode(() => connection.close(code, "why"))).toBe("bad-close-code");
          expect(snapshot(connection)).toBe(before);
        }
      });
    }
  });

  describe(`close reasons of a ${role}`, () => {
    for (const [name, reason] of [
      ["empty", ""],
      ["123 bytes of ASCII", "x".repeat(123)],
      ["123 bytes of three each", "€".repeat(41)],
      ["123 bytes with a pair", "😀".repeat(30) + "abc"],
      ["U+FEFF", "\ufeffx"],
      ["a tab", "a\tb"],
    ] as const) {
      it(`5.5: sent and received: ${name}`, () => {
        const connection = opened(role);
        expect(connection.close(1000, reason)).toBe(true);
        expect(takeFrames(connection).map(({ payload }) => toHex(payload))).toEqual([
          toHex(closePayload(1000, reason)),
        ]);
        for (const way of [...feedings, queued]) {
          const events = way.feed(
            opened(role),
            fromPeer(role, { opcode: 8, payload: closePayload(1000, reason) }),
          );
          expect(summarize(events)).toMatchObject([{ type: "closing", code: 1000, reason }]);
        }
      });
    }

    it("8.1: a lone surrogate in it is sent as U+FFFD, and counts three bytes", () => {
      const connection = opened(role);
      expect(connection.close(1000, "\ud83d".repeat(41))).toBe(true);
      expect(takeFrames(connection).map(({ payload }) => toHex(payload))).toEqual([
        toHex(closePayload(1000, "\ufffd".repeat(41))),
      ]);
    });

    for (const [name, code, reason, expected] of [
      ["124 bytes of ASCII", 1000, "x".repeat(124), "bad-reason"],
      ["124 bytes of mixed lengths", 1000, "€".repeat(41) + "x", "bad-reason"],
      ["126 bytes of lone surrogates", 1000, "\ud83d".repeat(42), "bad-reason"],
      ["a line feed", 1000, "a\nb", "bad-reason"],
      ["a carriage return", 1000, "a\rb", "bad-reason"],
      ["a NUL", 1000, "a\0b", "bad-reason"],
      ["a reason without a code", undefined, "why", "bad-reason"],
      ["a number for a reason", 1000, 5, "bad-argument"],
      ["bytes for a reason", 1000, bytes("why"), "bad-argument"],
      ["null for a reason", 1000, null, "bad-argument"],
      ["a string for a code", "1000", "", "bad-close-code"],
      ["null for a code", null, "", "bad-close-code"],
      ["a fraction for a code", 1000.5, "", "bad-close-code"],
    ] as const) {
      it(`throws and changes nothing: ${name}`, () => {
        const connection = opened(role);
        const before = snapshot(connection);
        expect(usageCode(() => connection.close(code as number, reason as string))).toBe(expected);
        expect(snapshot(connection)).toBe(before);
        expect(connection.outputSize).toBe(0);
      });
    }

    for (const [name, hex] of VALID) {
      it(`5.5.1: UTF-8 received: ${name}`, () => {
        const reason = new TextDecoder("utf-8", { ignoreBOM: true }).decode(fromHex(hex));
        const wire = fromPeer(role, { opcode: 8, payload: closePayload(1000, fromHex(hex)) });
        for (const way of [...feedings, queued])
          expect(summarize(way.feed(opened(role), wire))).toMatchObject([{ code: 1000, reason }]);
      });
    }

    for (const [name, hex, at] of INVALID) {
      it(`8.1: not UTF-8, 1007: ${name}`, () => {
        const payload = closePayload(1000, bytes("é", fromHex(hex)));
        const wire = fromPeer(role, { opcode: 8, payload });
        for (const way of [...feedings, queued]) {
          const connection = opened(role);
          const offset = wire.length - payload.length + 4 + at;
          expect(summarize(way.feed(connection, wire))).toEqual([
            {
              type: "closing",
              code: 1007,
              reason: RULES["close-reason"].says,
              cause: { by: "peer", rule: "close-reason", offset },
            },
          ]);
          expect(takeFrames(connection).map(({ payload }) => toHex(payload))).toEqual([
            toHex(closePayload(1007, RULES["close-reason"].says)),
          ]);
        }
      });
    }
  });
}
