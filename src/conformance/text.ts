import type { ConformanceCase } from "./case.js";
import type { OpenRow } from "./open.js";
import { faulty, inBothRoles } from "./open.js";
import { INVALID, VALID } from "./utf8.js";
import type { FrameSpec } from "./wire.js";
import { CONTINUATION, fromHex, PING, TEXT, textOf, utf8 } from "./wire.js";

/** A text in fragments of one byte each. */
function byteFragments(payload: Uint8Array): FrameSpec[] {
  return Array.from(payload, (byte, i) => ({
    opcode: i === 0 ? TEXT : CONTINUATION,
    fin: i === payload.length - 1,
    payload: Uint8Array.of(byte),
  }));
}

const MIXTURE = "a\u00e9\u20ac\u{1f600}z";

const ROWS: readonly OpenRow[] = [
  ...VALID.map(([name, hex]) => ({
    section: "RFC 3629 4",
    name,
    frames: (): FrameSpec[] => [{ opcode: TEXT, payload: fromHex(hex) }],
    messages: [textOf(hex)],
  })),
  ...INVALID.map(([name, hex]) =>
    faulty("RFC 6455 8.1", name, 1007, () => [{ opcode: TEXT, payload: fromHex(hex) }]),
  ),
  {
    section: "RFC 6455 5.4",
    name: "code points cut by fragments",
    frames: () => byteFragments(utf8(MIXTURE)),
    messages: [MIXTURE],
  },
  faulty("RFC 6455 8.1", "invalid in a later fragment", 1007, () => [
    { opcode: TEXT, fin: false, payload: fromHex("e282") },
    { opcode: CONTINUATION, payload: "a" },
  ]),
  faulty("RFC 6455 8.1", "a code point that the message's end cuts", 1007, () => [
    { opcode: TEXT, fin: false, payload: fromHex("e282") },
    { opcode: CONTINUATION },
  ]),
  {
    section: "RFC 6455 5.5",
    name: "a ping that is not UTF-8 is none of it",
    frames: () => [{ opcode: PING, payload: fromHex("ff") }],
    sends: [{ type: "pong", payload: fromHex("ff") }],
  },
];

/** Texts (RFC 6455 5.6, 8.1) in UTF-8 (RFC 3629). */
export const TEXT_CASES: readonly ConformanceCase[] = inBothRoles("text", ROWS);
