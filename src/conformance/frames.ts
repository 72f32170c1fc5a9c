import type { ConformanceCase } from "./case.js";
import type { OpenRow } from "./open.js";
import { faulty, inBothRoles } from "./open.js";
import type { FrameSpec } from "./wire.js";
import { BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, utf8 } from "./wire.js";

const bytes = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i * 31 + (i >> 8));
const pong = (payload: string | Uint8Array): { type: "pong"; payload: Uint8Array } => ({
  type: "pong",
  payload: typeof payload === "string" ? utf8(payload) : payload,
});

/** Messages in fragments; the last of a message's is final. */
const fragments = (opcode: number, ...payloads: readonly string[]): FrameSpec[] =>
  payloads.map((payload, i) => ({
    opcode: i === 0 ? opcode : CONTINUATION,
    fin: i === payloads.length - 1,
    payload,
  }));

const LAWFUL: readonly OpenRow[] = [
  {
    section: "RFC 6455 5.7",
    name: "a text",
    frames: () => [{ opcode: TEXT, payload: "Hello" }],
    messages: ["Hello"],
  },
  { section: "RFC 6455 5.6", name: "an empty text", frames: () => [{ opcode: TEXT }], messages: [""] },
  // Each form of the length at both of its ends.
  ...[0, 1, 125, 126, 127, 65535, 65536].map((size) => ({
    section: "RFC 6455 5.2",
    name: `${size} bytes of binary`,
    frames: (): FrameSpec[] => [{ opcode: BINARY, payload: bytes(size) }],
    messages: [bytes(size)],
  })),
  {
    section: "RFC 6455 5.7",
    name: "a text in two fragments",
    frames: () => fragments(TEXT, "Hel", "lo"),
    messages: ["Hello"],
  },
  {
    section: "RFC 6455 5.4",
    name: "empty fragments around a full one",
    frames: () => fragments(TEXT, "", "", "a", "", "b", ""),
    messages: ["ab"],
  },
  {
    section: "RFC 6455 5.4",
    name: "a message of empty fragments",
    frames: () => fragments(BINARY, "", "", ""),
    messages: [bytes(0)],
  },
  {
    section: "RFC 6455 5.5.2",
    name: "an empty ping",
    frames: () => [{ opcode: PING }],
    sends: [pong("")],
  },
  {
    section: "RFC 6455 5.5.2",
    name: "a ping of 125 bytes",
    frames: () => [{ opcode: PING, payload: bytes(125) }],
    sends: [pong(bytes(125))],
  },
  {
    section: "RFC 6455 5.4",
    name: "pings inside a message",
    frames: () => {
      const [first = { opcode: TEXT }, ...others] = fragments(TEXT, "a", "b", "c");
      return [first, ...others.flatMap((next, i) => [{ opcode: PING, payload: `${i}` }, next])];
    },
    messages: ["abc"],
    sends: [pong("0"), pong("1")],
  },
  {
    section: "RFC 6455 5.5.3",
    name: "a pong that nobody asked for",
    frames: () => [
      { opcode: PONG, payload: "x" },
      { opcode: TEXT, payload: "a" },
    ],
    messages: ["a"],
  },
  {
    section: "RFC 6455 5.4",
    name: "a message that is cut off is not told",
    frames: () => fragments(TEXT, "a", "b").slice(0, 1),
  },
];

const FAULTY: readonly OpenRow[] = [
  ...[4, 2, 1].flatMap((rsv, i) =>
    [TEXT, BINARY, CLOSE, PING, PONG].map((opcode) =>
      faulty("RFC 6455 5.2", `RSV${i + 1} with opcode ${opcode}`, 1002, () => [{ opcode, rsv }]),
    ),
  ),
  faulty("RFC 6455 5.2", "RSV1 on a continuation", 1002, () => [
    { opcode: TEXT, fin: false },
    { opcode: CONTINUATION, rsv: 4 },
  ]),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) =>
    faulty("RFC 6455 5.2", `the reserved opcode ${opcode}`, 1002, () => [{ opcode }]),
  ),
  ...[CLOSE, PING, PONG].flatMap((opcode) => [
    faulty("RFC 6455 5.5", `opcode ${opcode} in fragments`, 1002, () => [{ opcode, fin: false }]),
    faulty("RFC 6455 5.5", `opcode ${opcode} with 126 bytes`, 1002, () => [{ opcode, payload: bytes(126) }]),
  ]),
  faulty("RFC 6455 5.4", "a continuation without a message", 1002, () => [
    { opcode: CONTINUATION, payload: "a" },
  ]),
  ...[TEXT, BINARY].map((opcode) =>
    faulty("RFC 6455 5.4", `opcode ${opcode} inside a message`, 1002, () => [
      { opcode: TEXT, fin: false, payload: "a" },
      { opcode, payload: "b" },
    ]),
  ),
  faulty("RFC 6455 5.1", "masked although a server's, or not masked although a client's", 1002, (role) => [
    { opcode: TEXT, payload: "a", masked: role === "client" },
  ]),
  faulty("RFC 6455 5.2", "a length below 126 in 16 bits", 1002, () => [
    { opcode: BINARY, payload: bytes(125), lengthForm: 16 },
  ]),
  faulty("RFC 6455 5.2", "a length below 65536 in 64 bits", 1002, () => [
    { opcode: BINARY, payload: bytes(126), lengthForm: 64 },
  ]),
  faulty("RFC 6455 5.2", "a length whose top bit is set", 1002, () => [
    { opcode: BINARY, payload: bytes(1), lengthForm: 64, topByte: 0x80 },
  ]),
];

/** Frames and fragments (RFC 6455 5). */
export const FRAME_CASES: readonly ConformanceCase[] = inBothRoles("frames", [...LAWFUL, ...FAULTY]);
