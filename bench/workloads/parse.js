// Frames in, messages out.

import { turn } from "../lib/clock.js";
import {
  BINARY,
  concat,
  equal,
  generator,
  makeFrame,
  makePayload,
  PING,
  PONG,
  readFrames,
  TEXT,
} from "../lib/frames.js";

/** A batch is as many messages as make up this many bytes, but not more than MAX_MESSAGES, and at least one. */
const BATCH_BYTES = 262144;
const BATCH_BYTES_BY_BYTE = 16384;
const MAX_MESSAGES = 4096;
/** Shorter chunks are slices of one buffer: so many buffers of their own would measure the allocator. */
const SLICED = 1024;
/** How many payloads differ before they repeat. */
const VARIETY = 16;
const CONTINUATION = 0;

export const CHUNKS = { "64K": 65536, 1460: 1460, 1: 1 };

/** The frames of one message; a fragmented one has a ping between any two of its fragments. */
function framesOf(payload, spec, next) {
  const opcode = spec.kind === "binary" ? BINARY : TEXT;
  const key = () => (spec.role === "server" ? next() : undefined);
  if (spec.fragments === 1) return [makeFrame(opcode, payload, { key: key() })];
  const frames = [];
  const step = Math.ceil(payload.length / spec.fragments);
  for (let i = 0; i < spec.fragments; i++) {
    const part = payload.subarray(i * step, (i + 1) * step);
    const fin = i === spec.fragments - 1;
    frames.push(makeFrame(i === 0 ? opcode : CONTINUATION, part, { fin, key: key() }));
    if (!fin) frames.push(makeFrame(PING, Uint8Array.of(0, 1, i >>> 8, i), { key: key() }));
  }
  return frames;
}

export function makeStream(spec) {
  const next = generator(spec.size + 1);
  const text = spec.kind !== "binary";
  const payloads = [];
  const wholes = [];
  for (let i = 0; i < Math.min(VARIETY, Math.max(1, (1 << 21) / Math.max(1, spec.size))); i++) {
    const payload = makePayload(spec.kind, spec.size, i + 1);
    payloads.push(payload);
    wholes.push(concat(framesOf(payload, spec, next)));
  }
  const bytes = spec.chunks === 1 ? BATCH_BYTES_BY_BYTE : BATCH_BYTES;
  const messages = spec.messages ?? Math.min(MAX_MESSAGES, Math.max(1, Math.round(bytes / wholes[0].length)));
  const expected = Array.from({ length: messages }, (_, i) => payloads[i % payloads.length]);
  const stream = concat(expected.map((_, i) => wholes[i % wholes.length]));

  const masters = [];
  for (let at = 0; at < stream.length; at += spec.chunks) masters.push(stream.subarray(at, at + spec.chunks));
  const whole = Buffer.allocUnsafeSlow(stream.length);
  const chunks = masters.map((master, i) =>
    spec.chunks < SLICED
      ? whole.subarray(i * spec.chunks, i * spec.chunks + master.length)
      : Buffer.allocUnsafeSlow(master.length),
  );

  let units = 0;
  let sum = 0;
  for (const payload of expected) {
    const touchable = text ? new TextDecoder().decode(payload) : payload;
    const at = (i) => (text ? touchable.charCodeAt(i) : touchable[i]);
    units += touchable.length;
    if (touchable.length > 0) sum += at(0) + at(touchable.length - 1);
  }
  const pings = messages * (spec.fragments - 1);
  return { expected, messages, bytes: stream.length, masters, chunks, units, sum, pings };
}

/** Every byte of every message, and an answer to every ping; throws where one is wrong. */
export async function verifyParse(peer, spec, stream) {
  const text = spec.kind !== "binary";
  const encoder = new TextEncoder();
  let messages = 0;
  let wrong = 0;
  const sent = [];
  const receiver = peer.createReceiver({
    masked: spec.role === "server",
    text,
    touched: true,
    fragments: spec.fragments,
    deliver(message) {
      const payload = text ? encoder.encode(message) : message;
      if (text !== (typeof message === "string")) wrong++;
      else if (messages >= stream.messages || !equal(payload, stream.expected[messages])) wrong++;
      messages++;
    },
    send: (bytes) => sent.push(new Uint8Array(bytes)),
  });
  if (receiver === undefined) return false;
  stream.chunks.forEach((chunk, i) => chunk.set(stream.masters[i]));
  for (const chunk of stream.chunks) receiver.receive(chunk);
  for (let turns = 0; turns < 2 || (messages < stream.messages && turns < 100_000); turns++) await turn();
  if (peer.isLimit) return true;
  if (messages !== stream.messages)
    throw new Error(`${messages} of ${stream.messages} messages were delivered`);
  if (wrong > 0) throw new Error(`${wrong} of ${messages} messages were delivered with other payloads`);
  const pongs = readFrames(concat(sent)).filter(
    ({ opcode, payload }) => opcode === PONG && payload.length === 4,
  );
  // Only the latest of many pings has to be answered (RFC 6455 5.5.3).
  if (stream.pings > 0 && pongs.length === 0) throw new Error("no ping was answered");
  if (pongs.length > stream.pings) throw new Error("there are more pongs than pings");
  return true;
}
