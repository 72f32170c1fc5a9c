// No WebSocket server but what it costs to move the bytes: after the opening handshake they go back as they came, masked.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

import { BINARY, makeFrame } from "../lib/frames.js";

export const version = "";
export const isLimit = true;
/** What comes back is what was sent, not a server's frames. */
export const isRaw = true;

export async function start({ host, payload }) {
  const frame = makeFrame(BINARY, payload);
  const sockets = new Set();
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    let head = "";
    const readHead = (chunk) => {
      head += chunk.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1];
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
      socket.off("data", readHead);
      socket.on("data", (bytes) => socket.write(bytes));
      sockets.add(socket);
      if (head.length > end + 4) socket.write(Buffer.from(head.slice(end + 4), "latin1"));
      head = "";
    };
    socket.on("data", readHead);
  });
  server.listen(0, host);
  await once(server, "listening");
  return {
    port: server.address().port,
    broadcast(burst) {
      for (const socket of sockets) {
        if (burst > 1) socket.cork();
        for (let i = 0; i < burst; i++) socket.write(frame);
        if (burst > 1) socket.uncork();
      }
    },
  };
}
