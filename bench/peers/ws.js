import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import { Sink } from "../lib/sink.js";

const require = createRequire(import.meta.url);

// By its path: Bun has something of its own under the name.
const folder = dirname(require.resolve("ws/package.json"));

/** ws decides on bufferutil when it is loaded: this loads a copy of its own. */
export function loadWs(bufferutil) {
  for (const path of Object.keys(require.cache)) if (path.startsWith(folder)) delete require.cache[path];
  if (bufferutil) delete process.env.WS_NO_BUFFER_UTIL;
  else process.env.WS_NO_BUFFER_UTIL = "1";
  const ws = {
    Receiver: require(join(folder, "lib/receiver.js")),
    Sender: require(join(folder, "lib/sender.js")),
    WebSocketServer: require(join(folder, "lib/websocket-server.js")),
  };
  delete process.env.WS_NO_BUFFER_UTIL;
  return ws;
}

export function versionOf(name) {
  return require(`${name}/package.json`).version;
}

export function peerOf({ Receiver, Sender }) {
  return {
    createReceiver({ masked, text, deliver, send }) {
      const receiver = new Receiver({ isServer: masked, maxPayload: 0 });
      const sender = new Sender(new Sink(send), {});
      receiver.on("message", text ? (data) => deliver(data.toString()) : deliver);
      receiver.on("ping", (data) => sender.pong(data, !masked, () => undefined));
      receiver.on("error", (error) => {
        throw error;
      });
      return { receive: (chunk) => receiver.write(chunk) };
    },

    createSender({ masked, write }) {
      const sender = new Sender(new Sink(write), {});
      const text = { binary: false, compress: false, fin: true, mask: masked };
      const binary = { ...text, binary: true };
      return {
        text: (message) => sender.send(message, text),
        binary: (message) => sender.send(message, binary),
        flush() {},
      };
    },

    createIdle(message) {
      const receiver = new Receiver({ isServer: true, maxPayload: 0 });
      const sender = new Sender(new Sink(nothing), {});
      let messages = 0;
      const count = () => messages++;
      receiver.on("message", count);
      receiver.write(Buffer.from(message));
      if (messages !== 1) throw new Error("the message did not arrive");
      receiver.off("message", count);
      receiver.on("message", nothing);
      return { receiver, sender };
    },
  };
}

function nothing() {}

export const version = `${versionOf("ws")}, bufferutil ${versionOf("bufferutil")}`;
export const { createReceiver, createSender, createIdle } = peerOf(loadWs(true));
