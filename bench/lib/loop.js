// The hot loops.

import { cpu, turn, wall } from "./clock.js";

const MAX_TURNS = 1_000_000;

/** @param {object} stream see ../workloads/parse.js */
export function prepareParse(peer, spec, stream) {
  let messages = 0;
  let units = 0;
  let sum = 0;
  const count = () => {
    messages++;
  };
  const touchText = (text) => {
    messages++;
    const { length } = text;
    units += length;
    if (length > 0) sum += text.charCodeAt(0) + text.charCodeAt(length - 1);
  };
  const touchBytes = (payload) => {
    messages++;
    const { length } = payload;
    units += length;
    if (length > 0) sum += payload[0] + payload[length - 1];
  };
  const text = spec.kind !== "binary";
  const touched = text || spec.touched;
  const receiver = peer.createReceiver({
    masked: spec.role === "server",
    text,
    touched,
    fragments: spec.fragments,
    deliver: touched ? (text ? touchText : touchBytes) : count,
    send: () => undefined,
  });
  const { chunks, masters } = stream;
  const expected = stream.messages;

  return async function runBatch(check) {
    for (let i = 0; i < chunks.length; i++) chunks[i].set(masters[i]); // what came before was unmasked in place
    messages = units = sum = 0;
    const cpuBefore = cpu();
    const wallBefore = wall();
    for (let i = 0; i < chunks.length; i++) receiver.receive(chunks[i]);
    await turn();
    if (peer.isDeferred) {
      for (let turns = 0; messages < expected && turns < MAX_TURNS; turns++) await turn();
    }
    const wallTime = wall() - wallBefore;
    const cpuTime = cpu() - cpuBefore;
    if (check && messages !== expected) throw new Error(`${messages} of ${expected} messages were delivered`);
    if (check && touched && (units !== stream.units || sum !== stream.sum)) {
      throw new Error("messages were delivered with other payloads");
    }
    return { cpu: cpuTime, wall: wallTime };
  };
}

/** @param {object} batch see ../workloads/encode.js */
export function prepareEncode(peer, spec, batch) {
  let written = 0;
  const sender = peer.createSender({
    masked: spec.role === "client",
    write: (bytes) => {
      written += bytes.length;
    },
  });
  const { messages, perTurn, bytes } = batch;
  const text = spec.kind !== "binary";

  return async function runBatch(check) {
    written = 0;
    const cpuBefore = cpu();
    const wallBefore = wall();
    for (let i = 0; i < messages.length;) {
      const end = Math.min(i + perTurn, messages.length);
      if (text) for (; i < end; i++) sender.text(messages[i]);
      else for (; i < end; i++) sender.binary(messages[i]);
      sender.flush();
    }
    await turn();
    const wallTime = wall() - wallBefore;
    const cpuTime = cpu() - cpuBefore;
    if (check && written !== bytes) throw new Error(`${written} of ${bytes} bytes were written`);
    return { cpu: cpuTime, wall: wallTime };
  };
}

/** A peer may inflate on other threads; one that stops delivering is not waited for without end. */
const MAX_WAIT = 10_000;

/** @param {object} stream see ../workloads/compress.js */
export function prepareInflate(peer, spec, stream) {
  const { before, chunks, masters } = stream;
  const expected = stream.messages.length;
  let missing = 0;
  let units = 0;
  let sum = 0;
  let resolve = () => undefined;
  const receiver = peer.createReceiver({
    masked: spec.role === "server",
    text: true,
    touched: true,
    deliver: (text) => {
      const { length } = text;
      units += length;
      sum += text.charCodeAt(0) + text.charCodeAt(length - 1);
      if (--missing === 0) resolve();
    },
    send: () => undefined,
    deflate: spec.deflate,
  });
  const wire = masters.reduce((bytes, { length }) => bytes + length, 0);

  /** Hands over what holds `count` messages, and waits until they came. */
  async function receive(all, count) {
    missing = count;
    for (let i = 0; i < all.length; i++) receiver.receive(all[i]);
    await turn();
    if (missing <= 0) return;
    let timer;
    await new Promise((done, fail) => {
      resolve = done;
      timer = setTimeout(fail, MAX_WAIT, new Error("a message did not come"));
    });
    clearTimeout(timer);
  }

  let isFirst = true;
  return async function runBatch(check) {
    if (isFirst) await receive(before.map(Buffer.from), before.length);
    isFirst = false;
    for (let i = 0; i < chunks.length; i++) chunks[i].set(masters[i]); // what came before was unmasked in place
    units = sum = 0;
    const cpuBefore = cpu();
    const wallBefore = wall();
    await receive(chunks, expected);
    const wallTime = wall() - wallBefore;
    const cpuTime = cpu() - cpuBefore;
    if (check && (missing !== 0 || units !== stream.units || sum !== stream.sum)) {
      throw new Error("messages were delivered with other payloads, or too many of them");
    }
    return { cpu: cpuTime, wall: wallTime, ratio: units / wire };
  };
}

/** @param {object} batch see ../workloads/compress.js */
export function prepareDeflate(peer, spec, batch) {
  let written = 0;
  const sender = peer.createSender({
    masked: spec.role === "client",
    write: (bytes) => {
      written += bytes.length;
    },
    deflate: spec.deflate,
  });
  const { messages, perTurn, bytes } = batch;

  return async function runBatch(check) {
    written = 0;
    const cpuBefore = cpu();
    const wallBefore = wall();
    let flushed;
    for (let i = 0; i < messages.length;) {
      const end = Math.min(i + perTurn, messages.length);
      for (; i < end; i++) sender.text(messages[i]);
      flushed = sender.flush();
    }
    await turn();
    await flushed;
    const wallTime = wall() - wallBefore;
    const cpuTime = cpu() - cpuBefore;
    if (check && (written === 0 || written >= bytes)) {
      throw new Error(`${written} bytes were written for ${bytes}`);
    }
    return { cpu: cpuTime, wall: wallTime, ratio: bytes / written };
  };
}
