import { createHash } from "node:crypto";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const driver = require("websocket-driver");

export const version = require("websocket-driver/package.json").version;

/** It knows no connection that is open already: each begins with the opening handshake. */
function open(masked, write, role) {
  const options = { maxLength: 2 ** 30 };
  const opened = role === "server" ? driver.server(options) : driver.client("ws://localhost/", options);
  let head = "";
  opened.io.on("data", (bytes) => {
    if (head !== undefined) head += bytes.toString("latin1");
    else write(bytes);
  });
  if (role === "server") {
    opened.on("connect", () => opened.start());
    opened.parse(
      Buffer.from(
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Version: 13\r\n\r\n",
      ),
    );
  } else {
    opened.start();
    const key = /Sec-WebSocket-Key: (\S+)/i.exec(head)[1];
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    opened.parse(
      Buffer.from(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
      ),
    );
  }
  head = undefined;
  return opened;
}

export function createReceiver({ masked, deliver, send }) {
  const receiver = open(masked, send, masked ? "server" : "client");
  receiver.on("message", ({ data }) => deliver(data));
  receiver.on("error", (error) => {
    throw error;
  });
  return { receive: (chunk) => receiver.parse(chunk) };
}

export function createSender({ masked, write }) {
  const sender = open(masked, write, masked ? "client" : "server");
  return { text: (text) => sender.text(text), binary: (bytes) => sender.binary(bytes), flush() {} };
}

export function createIdle(message) {
  const server = open(true, () => undefined, "server");
  let messages = 0;
  const count = () => messages++;
  server.on("message", count);
  server.parse(Buffer.from(message));
  if (messages !== 1) throw new Error("the message did not arrive");
  return server;
}
