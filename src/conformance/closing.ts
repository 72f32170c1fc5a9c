import type { ConformanceCase } from "./case.js";
import type { OpenRow } from "./open.js";
import { faulty, inBothRoles } from "./open.js";
import { CLOSE, closePayload, fromHex, PING, TEXT } from "./wire.js";

const LONGEST_REASON = "\u00fc".repeat(61) + "!"; // 123 bytes

/** A Close that is answered with its own code. */
function answered(section: string, name: string, code: number, reason = ""): OpenRow {
  return {
    section,
    name,
    frames: () => [{ opcode: CLOSE, payload: closePayload(code, reason) }],
    sends: [{ type: "close", code }],
    code,
  };
}

const ROWS: readonly OpenRow[] = [
  {
    section: "RFC 6455 7.1.5",
    name: "an empty Close",
    frames: () => [{ opcode: CLOSE }],
    sends: [{ type: "close", code: undefined }],
    code: 1005,
  },
  answered("RFC 6455 5.5.1", "a code and a reason", 1000, "bye"),
  answered("RFC 6455 5.5", "the longest reason", 1000, LONGEST_REASON),
  // RFC 6455 7.4 and the registry that it sets up (11.7)
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map(
    (code) => answered("RFC 6455 7.4", `the code ${code}`, code),
  ),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map((code) =>
    faulty("RFC 6455 7.4", `the code ${code}, which may not be sent`, 1002, () => [
      { opcode: CLOSE, payload: closePayload(code) },
    ]),
  ),
  faulty("RFC 6455 5.5.1", "one byte", 1002, () => [{ opcode: CLOSE, payload: "a" }]),
  faulty("RFC 6455 5.5.1", "a reason that is not UTF-8", 1007, () => [
    { opcode: CLOSE, payload: closePayload(1000, fromHex("61ff")) },
  ]),
  {
    section: "RFC 6455 5.5.1",
    name: "whatever follows a Close is not told, nor answered",
    frames: () => [
      { opcode: CLOSE, payload: closePayload(1001) },
      { opcode: TEXT, payload: "late" },
      { opcode: PING },
      { opcode: CLOSE, payload: closePayload(1002) },
    ],
    sends: [{ type: "close", code: 1001 }],
    code: 1001,
  },
  {
    section: "RFC 6455 5.5.1",
    name: "a Close inside its own message drops the message",
    frames: () => [
      { opcode: TEXT, fin: false, payload: "half" },
      { opcode: CLOSE, payload: closePayload(1000) },
    ],
    sends: [{ type: "close", code: 1000 }],
    code: 1000,
  },
  {
    section: "RFC 6455 5.5.2",
    name: "a ping before the Close is answered",
    frames: () => [{ opcode: PING, payload: fromHex("61") }, { opcode: CLOSE }],
    sends: [
      { type: "pong", payload: fromHex("61") },
      { type: "close", code: undefined },
    ],
    code: 1005,
  },
  {
    section: "RFC 6455 7.1.5",
    name: "the stream ends without a Close",
    frames: () => [{ opcode: TEXT, payload: "last" }],
    messages: ["last"],
  },
];

/** The closing handshake (RFC 6455 5.5.1, 7). */
export const CLOSING_CASES: readonly ConformanceCase[] = inBothRoles("closing", ROWS);
