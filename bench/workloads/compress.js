// permessage-deflate (RFC 7692) on JSON: compressed frames in and messages out ("inflate"), messages in and compressed frames out
// ("deflate"). One end with one window, or with none: its own of a server.
//
// With context takeover what a message compresses to depends on those before it. So that a batch can go through the same connection again
// and again, each message is compressed with the 32 KiB before it as they are when the batches follow each other in a circle; `before`
// fills the receiver's window first. Each message is in a batch only once, and a batch is much longer than a window: no message finds
// itself in it.

import { constants, deflateRawSync, inflateRawSync } from "node:zlib";

import { sleep, turn } from "../lib/clock.js";
import { concat, equal, generator, makeFrame, readFrames, TEXT } from "../lib/frames.js";

const BATCH_BYTES = 262144;
const CHUNK = 65536;
const WINDOW = 32768;
const MASKING_KEY = 0x5ca1ab1e;
/** Milliseconds without a message after which none is waited for: a peer may inflate on other threads. */
const STALLED = 200;
/** What a sender leaves out at the end of each message (RFC 7692 7.2.1). */
const TAIL = Uint8Array.of(0, 0, 0xff, 0xff);

const WORDS = (
  "the of to and in is for on that by with as at from order account market price update status user request session device " +
  "report message channel server region signal battery sensor garden river mountain yellow quiet broken early window paper"
).split(" ");
const SYMBOLS = ["AAPL", "MSFT", "NVDA", "AMZN", "GOOG", "TSLA", "EURUSD", "BTCUSD", "ETHUSD", "SAP"];
const STATES = ["new", "open", "partial", "filled", "cancelled"];

/**
 * JSON of exactly `size` bytes, all ASCII, at least 150: records as a feed sends them, with numbers and ids that do not repeat, names that
 * do, and prose.
 */
export function makeJson(size, seed) {
  const next = generator(seed);
  const pick = (list) => list[Math.min(next() % list.length, next() % list.length)]; // the first ones more often, as in any language
  const prose = (words) => Array.from({ length: words }, () => pick(WORDS)).join(" ");
  const record = () =>
    JSON.stringify({
      id: next().toString(16).padStart(8, "0") + next().toString(16).padStart(8, "0"),
      time: new Date(1.7e12 + next()).toISOString(),
      symbol: pick(SYMBOLS),
      state: pick(STATES),
      price: (next() % 1_000_000) / 100,
      quantity: next() % 5000,
      ...(next() % 3 === 0 ? { comment: prose(3 + (next() % 6)), active: next() % 2 === 0 } : {}),
    });
  const records = [];
  let length = '{"items":[],"note":""}'.length;
  for (;;) {
    const one = record();
    if (length + one.length + 1 > size) break;
    records.push(one);
    length += one.length + 1;
  }
  if (records.length > 0) length--; // one comma less than records
  const rest = size - length;
  if (rest < 0 || (records.length === 0 && size < 150)) throw new Error(`JSON of ${size} bytes is too short`);
  const note = prose(rest).slice(0, rest);
  return `{"items":[${records.join(",")}],"note":"${note}"}`;
}

/** Compressed as a message, by zlib at its default level, with what is before it as far as the window goes. */
function compress(payload, window) {
  const options = { finishFlush: constants.Z_SYNC_FLUSH, windowBits: 15 };
  if (window.length > 0) options.dictionary = window;
  const compressed = deflateRawSync(payload, options);
  return compressed.subarray(0, compressed.length - TAIL.length);
}

/** The window comes as a stored block: not every runtime takes a dictionary here. */
function decompress(compressed, window) {
  const size = Uint8Array.of(
    0,
    window.length & 0xff,
    window.length >> 8,
    ~window.length & 0xff,
    ~window.length >> 8,
  );
  const inflated = inflateRawSync(concat([size, window, compressed, TAIL]), {
    finishFlush: constants.Z_SYNC_FLUSH,
    windowBits: 15,
  });
  return inflated.subarray(window.length);
}

const NOTHING = new Uint8Array(0);
const tailOf = (window, payload) => concat([window, payload]).slice(-WINDOW);

function makeMessages(spec) {
  const count = Math.round(BATCH_BYTES / spec.size);
  const texts = Array.from({ length: count }, (_, i) => makeJson(spec.size, spec.size + i));
  return { texts, payloads: texts.map((text) => new TextEncoder().encode(text)) };
}

/** A compressed frame, masked where it is for a server. */
export function makeCompressedFrame(payload, { window = NOTHING, masked }) {
  const frame = makeFrame(TEXT, compress(payload, window), { key: masked ? MASKING_KEY : undefined });
  frame[0] |= 0x40; // RSV1 (RFC 7692 6)
  return frame;
}

/** @param {{ direction: "inflate" | "deflate", role: "server" | "client", size: number, deflate: { takeover: boolean } }} spec */
export function makeCompress(spec) {
  return spec.direction === "inflate" ? makeInflate(spec) : makeDeflate(spec);
}

function makeInflate(spec) {
  const { texts, payloads } = makeMessages(spec);
  const { takeover } = spec.deflate;
  const masked = spec.role === "server";

  // The batch's last messages: enough of them to fill a window. Alone they need none.
  const last = payloads.slice(-Math.ceil(WINDOW / spec.size));
  const before = takeover ? last.map((payload) => makeCompressedFrame(payload, { masked })) : [];
  let window = takeover ? last.reduce(tailOf, NOTHING) : NOTHING;
  const frames = payloads.map((payload) => {
    const frame = makeCompressedFrame(payload, { window, masked });
    if (takeover) window = tailOf(window, payload);
    return frame;
  });

  const stream = concat(frames);
  const masters = [];
  for (let at = 0; at < stream.length; at += CHUNK) masters.push(stream.subarray(at, at + CHUNK));
  let units = 0;
  let sum = 0;
  for (const text of texts) {
    units += text.length;
    sum += text.charCodeAt(0) + text.charCodeAt(text.length - 1);
  }
  return {
    messages: texts,
    before,
    masters,
    chunks: masters.map((master) => Buffer.allocUnsafeSlow(master.length)),
    units,
    sum,
  };
}

function makeDeflate(spec) {
  const { texts, payloads } = makeMessages(spec);
  return { messages: texts, payloads, perTurn: 16, bytes: texts.length * spec.size };
}

/** Every byte of every message, in two batches; throws where one is wrong. False: the peer has no permessage-deflate. */
export async function verifyCompress(peer, spec, prepared) {
  if (peer.hasDeflate !== true) return false;
  return spec.direction === "inflate"
    ? verifyInflate(peer, spec, prepared)
    : verifyDeflate(peer, spec, prepared);
}

async function verifyInflate(peer, spec, { before, masters, messages }) {
  const delivered = [];
  const receiver = peer.createReceiver({
    masked: spec.role === "server",
    text: true,
    touched: true,
    deliver: (text) => delivered.push(text),
    send: () => undefined,
    deflate: spec.deflate,
  });
  const expected = [...messages.slice(messages.length - before.length), ...messages, ...messages];
  for (const bytes of [...before, ...masters, ...masters]) receiver.receive(Buffer.from(bytes));
  await turn();
  for (let seen = -1; delivered.length < expected.length && delivered.length > seen;) {
    seen = delivered.length;
    await sleep(STALLED);
  }
  if (delivered.length !== expected.length) {
    throw new Error(`${delivered.length} of ${expected.length} messages were delivered`);
  }
  const wrong = expected.findIndex((text, i) => delivered[i] !== text);
  if (wrong >= 0) throw new Error(`message ${wrong} was delivered with another text`);
  return true;
}

async function verifyDeflate(peer, spec, { messages, payloads }) {
  const parts = [];
  const masked = spec.role === "client";
  const sender = peer.createSender({
    masked,
    write: (bytes) => parts.push(new Uint8Array(bytes)),
    deflate: spec.deflate,
  });
  if (sender === undefined) return false;
  for (const text of [...messages, ...messages]) sender.text(text);
  await sender.flush();
  await turn();
  const frames = readFrames(concat(parts));
  if (frames.length !== 2 * messages.length) {
    throw new Error(`${frames.length} frames were written for ${2 * messages.length} messages`);
  }
  let window = NOTHING;
  frames.forEach((frame, i) => {
    const right = frame.fin && frame.rsv1 && frame.opcode === TEXT && frame.masked === masked;
    const payload = right ? decompress(frame.payload, window) : NOTHING;
    if (!equal(payload, payloads[i % payloads.length])) throw new Error(`frame ${i} is not the message`);
    if (spec.deflate.takeover) window = tailOf(window, payload);
  });
  return true;
}
