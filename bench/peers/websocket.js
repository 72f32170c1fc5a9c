import { createRequire } from "node:module";

import { Sink } from "../lib/sink.js";

const require = createRequire(import.meta.url);
const { connection: WebSocketConnection } = require("websocket");

export const version = require("websocket/package.json").version;
/** It reads one frame per turn of the event loop. */
export const isDeferred = true;

const config = {
  assembleFragments: true,
  closeTimeout: 5000,
  disableNagleAlgorithm: true,
  fragmentOutgoingMessages: false,
  fragmentationThreshold: Infinity,
  keepalive: false,
  maxReceivedFrameSize: 2 ** 30,
  maxReceivedMessageSize: 2 ** 30,
};

export function createReceiver({ masked, text, deliver, send }) {
  const socket = new Sink(send);
  const connection = new WebSocketConnection(socket, [], null, !masked, config);
  connection._addSocketEventListeners();
  connection.on(
    "message",
    text ? ({ utf8Data }) => deliver(utf8Data) : ({ binaryData }) => deliver(binaryData),
  );
  return { receive: (chunk) => socket.emit("data", chunk) };
}

export function createSender({ masked, write }) {
  const connection = new WebSocketConnection(new Sink(write), [], null, masked, config);
  return {
    text: (text) => connection.sendUTF(text),
    binary: (bytes) => connection.sendBytes(bytes),
    flush() {},
  };
}
