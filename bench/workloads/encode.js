// Messages in, frames out.

import { turn } from "../lib/clock.js";
import { BINARY, concat, equal, makePayload, readFrames, TEXT } from "../lib/frames.js";

const BATCH_BYTES = 262144;
const MAX_MESSAGES = 4096;
/** A server may pass a payload through, which costs as good as nothing: the batch has to be long against its turn. */
const LEAST_MESSAGES = { client: 16, server: 256 };
/** How much of a batch is verified: whole rounds of the payloads that there are. */
const VERIFIED = 64;
const VARIETY = 16;

export function makeBatch(spec) {
  const text = spec.kind !== "binary";
  const payloads = [];
  for (let i = 0; i < Math.min(VARIETY, Math.max(1, (1 << 21) / Math.max(1, spec.size))); i++) {
    payloads.push(Buffer.from(makePayload(spec.kind, spec.size, i + 1)));
  }
  const values = text ? payloads.map((payload) => payload.toString()) : payloads;
  const count = Math.min(
    MAX_MESSAGES,
    Math.max(LEAST_MESSAGES[spec.role], Math.round(BATCH_BYTES / Math.max(1, spec.size))),
  );
  const header = (spec.size < 126 ? 2 : spec.size < 65536 ? 4 : 10) + (spec.role === "client" ? 4 : 0);
  return {
    messages: Array.from({ length: count }, (_, i) => values[i % values.length]),
    expected: Array.from({ length: Math.min(count, VERIFIED) }, (_, i) => payloads[i % payloads.length]),
    perTurn: spec.perTurn,
    bytes: count * (header + spec.size),
  };
}

/** Every byte of every frame; throws where one is wrong. */
export async function verifyEncode(peer, spec, batch) {
  const text = spec.kind !== "binary";
  const masked = spec.role === "client";
  const parts = [];
  const sender = peer.createSender({ masked, write: (bytes) => parts.push(new Uint8Array(bytes)) });
  if (sender === undefined) return false;
  for (const message of batch.messages.slice(0, batch.expected.length)) {
    if (text) sender.text(message);
    else sender.binary(message);
  }
  sender.flush();
  await turn();
  if (peer.isLimit) return true;
  const frames = readFrames(concat(parts));
  if (frames.length !== batch.expected.length) {
    throw new Error(`${frames.length} frames were written for ${batch.expected.length} messages`);
  }
  frames.forEach((frame, i) => {
    const right = frame.fin && frame.opcode === (text ? TEXT : BINARY) && frame.masked === masked;
    if (!right || !equal(frame.payload, batch.expected[i])) throw new Error(`frame ${i} is not the message`);
  });
  return true;
}
