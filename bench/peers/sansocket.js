import { readFileSync } from "node:fs";

import {
  ClientConnection,
  Connection,
  permessageDeflate,
  ServerConnection,
  Settings,
} from "../../dist/index.js";
import { nodePlatform } from "../../dist/adapters/node.js";

export const version = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
).version;

export const hasDeflate = true;

const options = { platform: nodePlatform, limits: { message: Infinity } };
const settings = new Settings(options);
const withDeflate = [false, true].map((takeover) => {
  const none = { serverNoContextTakeover: !takeover, clientNoContextTakeover: !takeover };
  return new Settings({ ...options, extensions: [permessageDeflate({ ...none, threshold: 0 })] });
});

/** An open connection; where compression is to be agreed on, after an opening handshake. */
function open(role, deflate) {
  if (deflate === undefined) return new Connection(role, settings);
  const chosen = withDeflate[Number(deflate.takeover)];
  const server = new ServerConnection(chosen);
  const client = new ClientConnection({ url: "ws://localhost/" }, chosen);
  pass(client, server);
  if (server.nextEvent()?.type !== "request") throw new Error("there was no request");
  server.accept();
  pass(server, client);
  for (const side of [server, client]) {
    if (side.nextEvent()?.extensions?.length !== 1) throw new Error("permessage-deflate was not agreed on");
  }
  return role === "server" ? server : client;
}

function pass(from, to) {
  for (const bytes of from.takeOutput()) to.receive(bytes);
}

export function createReceiver({ masked, deliver, touched, text, send, deflate }) {
  const connection = open(masked ? "server" : "client", deflate);
  return {
    receive(chunk) {
      connection.receive(chunk, true); // as the adapter does it: chunks are the connection's
      for (;;) {
        const event = connection.nextEvent();
        if (event === undefined) break;
        const { type } = event;
        if (type === "binary") deliver(touched ? event.payload : event);
        else if (type === "text") deliver(text ? event.text : event);
        else requireOpen(event);
      }
      if (connection.outputSize > 0) for (const bytes of connection.takeOutput()) send(bytes);
    },
  };
}

function requireOpen({ type, cause }) {
  if (type === "closed" || type === "closing") throw new Error(cause.rule);
}

/** As the adapters do it: much output leaves before the turn is over. */
const FLUSH_AT = 65536;
/** Those for Node's and Bun's own sockets know when these have a copy of all; Deno's, and those over TLS or other streams, do not. */
const knowsWhatIsWritten = !("Deno" in globalThis);

export function createSender({ masked, write, deflate }) {
  const connection = open(masked ? "client" : "server", deflate);
  function flush() {
    if (connection.outputSize === 0) return;
    const chunks = connection.takeOutput();
    for (let i = 0; i < chunks.length; i++) write(chunks[i]);
    if (knowsWhatIsWritten) connection.outputWritten();
  }
  return {
    text(text) {
      connection.sendText(text);
      if (connection.outputSize >= FLUSH_AT) flush();
    },
    binary(bytes) {
      connection.sendBinary(bytes);
      if (connection.outputSize >= FLUSH_AT) flush();
    },
    flush,
  };
}

/** A server's connection that has seen a message, and sent one where there is a `reply`, and is idle. */
export function createIdle(message, deflate) {
  const connection = open("server", deflate);
  connection.receive(message.slice(), true);
  let messages = 0;
  for (let event = connection.nextEvent(); event !== undefined; event = connection.nextEvent()) {
    if (event.type === "binary" || event.type === "text") messages++;
  }
  if (messages !== 1) throw new Error("the message did not arrive");
  if (deflate !== undefined) {
    connection.sendText(deflate.reply);
    connection.takeOutput();
  }
  return connection;
}
