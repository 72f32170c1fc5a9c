import { createRequire } from "node:module";

import { Sink } from "../lib/sink.js";

const require = createRequire(import.meta.url);
const { ByteParser } = require("undici/lib/web/websocket/receiver.js");
const { WebsocketFrameSend } = require("undici/lib/web/websocket/frame.js");
const { opcodes } = require("undici/lib/web/websocket/constants.js");
const { utf8Decode } = require("undici/lib/web/websocket/util.js");

export const version = require("undici/package.json").version;

/** It is a client only, so that it reads unmasked frames and writes masked ones. */
export function createReceiver({ masked, text, deliver, send }) {
  if (masked) return undefined;
  const parser = new ByteParser(
    {
      closeState: new Set(),
      onMessage: text ? (_, data) => deliver(utf8Decode(data)) : (_, data) => deliver(data),
      onPing: () => undefined,
      onPong: () => undefined,
      readyState: 1,
      socket: new Sink(send),
    },
    null,
  );
  return { receive: (chunk) => parser.write(chunk) };
}

export function createSender({ masked, write }) {
  if (!masked) return undefined;
  return {
    text(text) {
      const [head, body] = WebsocketFrameSend.createFastTextFrame(Buffer.from(text));
      write(head);
      write(body);
    },
    binary: (bytes) => write(new WebsocketFrameSend(bytes).createFrame(opcodes.BINARY)),
    flush() {},
  };
}
