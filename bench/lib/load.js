// Load from raw sockets: frames that are made beforehand, and a check of every byte that comes back.

import net from "node:net";

import { wall } from "./clock.js";
import { BINARY, concat, generator, makeFrame, makePayload } from "./frames.js";

const KEY = "AAECAwQFBgcICQoLDA0ODw==";
const ACCEPT = "Bz3qJYTGdOe8gUSpLosEdiLKDrk=";
const REQUEST =
  "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  `Sec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n`;

/** Frames to send, over and over, and what is to come back. */
export class Script {
  /** @param {{ size: number, variety: number, raw: boolean, masked: boolean }} options */
  constructor({ size, variety, raw }) {
    const next = generator(size + 7);
    const payloads = Array.from({ length: variety }, (_, i) => makePayload("binary", size, i + 1));
    const sent = payloads.map((payload) => makeFrame(BINARY, payload, { key: next() }));
    const expected = raw ? sent : payloads.map((payload) => makeFrame(BINARY, payload));
    this.variety = variety;
    this.frameSize = sent[0].length;
    this.replySize = expected[0].length;
    // Twice, so that any run of up to `variety` frames is one piece.
    this.frames = Buffer.from(concat([...sent, ...sent]));
    this.replies = Buffer.from(concat(expected));
  }
}

/** What a broadcast brings. */
export class Listening {
  constructor(size) {
    const frame = makeFrame(BINARY, makePayload("binary", size, 1));
    this.replySize = frame.length;
    const repeat = Math.max(1, Math.floor(65536 / frame.length));
    this.replies = Buffer.from(concat(Array.from({ length: repeat }, () => frame)));
  }
}

/** One connection of the load. */
export class LoadConnection {
  /** Messages that came back whole. */
  done = 0;
  sent = 0;
  running = false;
  /** Called when all that was sent, or is awaited, has come. */
  settled = () => undefined;
  /** Called at once where the connection fails, which `error` remembers. */
  failed = () => undefined;
  error = undefined;
  #socket;
  #script;
  #received = 0;
  #place = 0;

  constructor(socket, script) {
    this.#socket = socket;
    this.#script = script;
  }

  static async open({ host, port }, script, timeout = 20_000) {
    const socket = net.connect({ host, port, noDelay: true });
    const rest = await handshake(socket, timeout);
    const connection = new LoadConnection(socket, script);
    socket.on("error", (error) => connection.#fail(error));
    socket.on("close", () => connection.#fail(new Error("the server closed the connection")));
    socket.on("data", (chunk) => connection.#receive(chunk));
    if (rest.length > 0) connection.#receive(rest);
    return connection;
  }

  send(count) {
    const { frames, frameSize, variety } = this.#script;
    while (count > 0) {
      const first = this.sent % variety;
      const some = Math.min(count, variety);
      this.#socket.write(frames.subarray(first * frameSize, (first + some) * frameSize));
      this.sent += some;
      count -= some;
    }
  }

  /** Says that `count` messages will come without anything being sent. */
  expect(count) {
    this.sent += count;
  }

  #receive(chunk) {
    const { replies, replySize } = this.#script;
    for (let at = 0; at < chunk.length;) {
      const count = Math.min(chunk.length - at, replies.length - this.#place);
      if (chunk.compare(replies, this.#place, this.#place + count, at, at + count) !== 0) {
        this.#fail(new Error("other bytes came back than were to come"));
        return;
      }
      at += count;
      this.#place = (this.#place + count) % replies.length;
    }
    this.#received += chunk.length;
    const done = Math.floor(this.#received / replySize);
    const more = done - this.done;
    this.done = done;
    if (done > this.sent) this.#fail(new Error("more came back than was sent"));
    else if (this.running) this.send(more);
    else if (more > 0 && done === this.sent) this.settled();
  }

  #fail(error) {
    this.error ??= error;
    this.failed(error);
  }

  /** Leaves no TIME_WAIT behind. */
  destroy() {
    this.failed = () => undefined;
    this.#socket.resetAndDestroy();
  }
}

/** Sends the request and reads the response; resolves with the bytes after it. */
export function handshake(socket, timeout = 20_000) {
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0);
    const timer = setTimeout(() => give(new Error("no response to the opening handshake")), timeout);
    const give = (/** @type {Error | undefined} */ error, rest) => {
      clearTimeout(timer);
      socket.off("data", read).off("error", give).off("close", closed);
      if (error === undefined) {
        resolve(rest);
      } else {
        socket.on("error", () => undefined).destroy();
        reject(error);
      }
    };
    const closed = () => give(new Error("the server closed the connection in the opening handshake"));
    const read = (chunk) => {
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      const text = head.toString("latin1", 0, end);
      const accepted = /^HTTP\/1\.1 101 /.test(text) && text.includes(ACCEPT);
      give(
        accepted ? undefined : new Error(`the response is ${text.split("\r\n")[0]}`),
        head.subarray(end + 4),
      );
    };
    socket.on("data", read).on("error", give).on("close", closed);
    socket.write(REQUEST);
  });
}

/** Opens many connections, some at a time. */
export async function openMany(where, count, script, atOnce = 100) {
  const opened = [];
  const failed = [];
  let asked = 0;
  await Promise.all(
    Array.from({ length: Math.min(atOnce, count) }, async () => {
      while (asked < count && failed.length === 0) {
        asked++;
        try {
          opened.push(await LoadConnection.open(where, script));
        } catch (error) {
          failed.push(error);
        }
      }
    }),
  );
  if (failed.length === 0) return opened;
  for (const connection of opened) connection.destroy();
  throw failed[0];
}

/** Resolves once every connection has got all that it waits for. */
function allSettled(connections, timeout) {
  return new Promise((resolve, reject) => {
    let missing = 0;
    const timer = setTimeout(() => {
      const total = connections.reduce((sum, { sent, done }) => sum + sent - done, 0);
      reject(new Error(`${total} messages did not come in ${timeout / 1000} s`));
    }, timeout);
    const done = (/** @type {Error | undefined} */ error) => {
      if (error === undefined && --missing > 0) return;
      clearTimeout(timer);
      if (error === undefined) resolve();
      else reject(error);
    };
    for (const connection of connections) {
      connection.failed = done;
      if (connection.done === connection.sent) continue;
      missing++;
      connection.settled = () => done();
    }
    if (missing === 0) {
      missing = 1;
      done();
    }
  });
}

function throwFailed(connections) {
  const failed = connections.find(({ error }) => error !== undefined);
  if (failed !== undefined) throw failed.error;
}

/** Keeps `inFlight` messages on their way on each connection for `duration` ms; resolves with how many came back. */
export async function pingPong(connections, inFlight, duration, timeout = 30_000) {
  throwFailed(connections);
  const before = connections.reduce((sum, { done }) => sum + done, 0);
  let fail;
  const failed = new Promise((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);
  for (const connection of connections) {
    connection.failed = fail;
    connection.running = true;
    connection.send(inFlight);
  }
  await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, duration))]);
  for (const connection of connections) connection.running = false;
  await allSettled(connections, timeout);
  return connections.reduce((sum, { done }) => sum + done, 0) - before;
}

/** Has `broadcast` send `burst` messages to all, again and again for `duration` ms; resolves with how many came. */
export async function listen(connections, burst, duration, broadcast, timeout = 30_000) {
  throwFailed(connections);
  const before = connections.reduce((sum, { done }) => sum + done, 0);
  for (const until = wall() + duration * 1e6; wall() < until;) {
    for (const connection of connections) connection.expect(burst);
    const settled = allSettled(connections, timeout);
    settled.catch(() => undefined);
    await broadcast(burst);
    await settled;
  }
  return connections.reduce((sum, { done }) => sum + done, 0) - before;
}

/** Opens and drops connections for `duration` ms, `atOnce` at a time; resolves with how many opening handshakes succeeded. */
export async function shakeHands({ host, port }, atOnce, duration) {
  let count = 0;
  const until = wall() + duration * 1e6;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (wall() < until) {
        const socket = net.connect({ host, port, noDelay: true });
        await handshake(socket);
        socket.on("error", () => undefined).resetAndDestroy();
        count++;
      }
    }),
  );
  return count;
}
