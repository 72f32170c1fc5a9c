import { once } from "node:events";

import { loadWs, version } from "../peers/ws.js";

export { version };

export const startWith =
  (bufferutil) =>
  async ({ host, payload }) => {
    const { WebSocketServer } = loadWs(bufferutil);
    const server = new WebSocketServer({ port: 0, host, perMessageDeflate: false });
    server.on("connection", (socket) => {
      socket.on("error", () => undefined);
      socket.on("message", (data, binary) => socket.send(data, { binary }));
    });
    await once(server, "listening");
    return {
      port: server.address().port,
      broadcast(burst) {
        for (let i = 0; i < burst; i++) for (const socket of server.clients) socket.send(payload);
      },
    };
  };

export const start = startWith(true);
