import { readFileSync } from "node:fs";

import { Connection, Settings } from "../../dist/index.js";
import { nodePlatform } from "../../dist/adapters/node.js";

export const version = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
).version;

const settings = new Settings({ platform: nodePlatform, limits: { message: Infinity } });

export function createReceiver({ masked, deliver, touched, text, send }) {
  const connection = new Connection(masked ? "server" : "client", settings);
  return {
    receive(chunk) {
      connection.receive(chunk, true); // as the adapter does it: chunks are the connection's
      for (let event = connection.nextEvent(); event !== undefined; event = connection.nextEvent()) {
        if (event.type === "binary") deliver(touched ? event.payload : event);
        else if (event.type === "text") deliver(text ? event.text : event);
        else if (event.type === "closed" || event.type === "closing") throw new Error(event.cause.rule);
      }
      if (connection.outputSize > 0) for (const bytes of connection.takeOutput()) send(bytes);
    },
  };
}

export function createSender({ masked, write }) {
  const connection = new Connection(masked ? "client" : "server", settings);
  return {
    text: (text) => connection.sendText(text),
    binary: (bytes) => connection.sendBinary(bytes),
    flush() {
      for (const bytes of connection.takeOutput()) write(bytes);
    },
  };
}

/** A server's connection that has seen a message and is idle. */
export function createIdle(message) {
  const connection = new Connection("server", settings);
  connection.receive(message.slice(), true);
  let messages = 0;
  for (let event = connection.nextEvent(); event !== undefined; event = connection.nextEvent()) {
    if (event.type === "binary") messages++;
  }
  if (messages !== 1) throw new Error("the message did not arrive");
  return connection;
}
