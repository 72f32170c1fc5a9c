import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";

export { version } from "../peers/websocket.js";

const { server: WebSocketServer } = createRequire(import.meta.url)("websocket");

export async function start({ host, payload }) {
  const httpServer = createServer();
  const server = new WebSocketServer({
    httpServer,
    autoAcceptConnections: true,
    fragmentOutgoingMessages: false,
    keepalive: false,
    maxReceivedFrameSize: 2 ** 30,
    maxReceivedMessageSize: 2 ** 30,
  });
  server.on("connect", (connection) => {
    connection.on("error", () => undefined);
    connection.on("message", ({ type, utf8Data, binaryData }) =>
      type === "utf8" ? connection.sendUTF(utf8Data) : connection.sendBytes(binaryData),
    );
  });
  httpServer.listen(0, host);
  await once(httpServer, "listening");
  return {
    port: httpServer.address().port,
    broadcast(burst) {
      for (let i = 0; i < burst; i++)
        for (const connection of server.connections) connection.sendBytes(payload);
    },
  };
}
