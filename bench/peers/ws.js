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
    PerMessageDeflate: require(join(folder, "lib/permessage-deflate.js")),
    WebSocketServer: require(join(folder, "lib/websocket-server.js")),
  };
  delete process.env.WS_NO_BUFFER_UTIL;
  return ws;
}

export function versionOf(name) {
  return require(`${name}/package.json`).version;
}

export function peerOf({ Receiver, Sender, PerMessageDeflate }) {
  /** What ws hands to its receiver and its sender; `isServer` of the end that is measured. */
  function extensionsOf(deflate, isServer) {
    if (deflate === undefined) return {};
    const none = !deflate.takeover;
    const options = { isServer, threshold: 0, serverNoContextTakeover: none, clientNoContextTakeover: none };
    if (!none) delete options.clientNoContextTakeover; // to a client false means more than not to ask
    const extension = new PerMessageDeflate(options);
    extension.accept([
      none ? { server_no_context_takeover: [true], client_no_context_takeover: [true] } : {},
    ]);
    return { "permessage-deflate": extension };
  }

  return {
    hasDeflate: true,

    createReceiver({ masked, text, deliver, send, deflate }) {
      const extensions = extensionsOf(deflate, masked);
      const receiver = new Receiver({ extensions, isServer: masked, maxPayload: 0 });
      const sender = new Sender(new Sink(send), {});
      receiver.on("message", text ? (data) => deliver(data.toString()) : deliver);
      receiver.on("ping", (data) => sender.pong(data, !masked, () => undefined));
      receiver.on("error", (error) => {
        throw error;
      });
      return { receive: (chunk) => receiver.write(chunk) };
    },

    createSender({ masked, write, deflate }) {
      const sender = new Sender(new Sink(write), extensionsOf(deflate, !masked));
      const compress = deflate !== undefined;
      const text = { binary: false, compress, fin: true, mask: masked };
      const binary = { ...text, binary: true };
      if (compress) return compressing(sender, text, binary);
      return {
        text: (message) => sender.send(message, text),
        binary: (message) => sender.send(message, binary),
        flush() {},
      };
    },

    createIdle(message, deflate) {
      if (deflate !== undefined) return createIdleDeflate(message, deflate);
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

  async function createIdleDeflate(message, deflate) {
    const extensions = extensionsOf(deflate, true);
    const receiver = new Receiver({ extensions, isServer: true, maxPayload: 0 });
    const sender = new Sender(new Sink(nothing), extensions);
    receiver.on("error", nothing);
    await new Promise((resolve) => {
      receiver.once("message", resolve);
      receiver.write(Buffer.from(message));
    });
    await new Promise((resolve) => {
      sender.send(deflate.reply, { binary: false, compress: true, fin: true, mask: false }, resolve);
    });
    receiver.on("message", nothing);
    return { receiver, sender };
  }
}

/** It compresses on other threads: `flush` promises that all is written. */
function compressing(sender, text, binary) {
  let pending = 0;
  let resolve = nothing;
  const sent = () => {
    if (--pending === 0) resolve();
  };
  const send = (message, options) => {
    pending++;
    sender.send(message, options, sent);
  };
  return {
    text: (message) => send(message, text),
    binary: (message) => send(message, binary),
    flush: () =>
      pending === 0
        ? undefined
        : new Promise((done) => {
            resolve = done;
          }),
  };
}

function nothing() {}

export const version = `${versionOf("ws")}, bufferutil ${versionOf("bufferutil")}`;
export const { hasDeflate, createReceiver, createSender, createIdle } = peerOf(loadWs(true));
