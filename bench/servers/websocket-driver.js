import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";

export { version } from "../peers/websocket-driver.js";

const driver = createRequire(import.meta.url)("websocket-driver");

export async function start({ host, payload }) {
  const peers = new Set();
  const server = createServer();
  server.on("upgrade", (request, socket, head) => {
    const peer = driver.http(request);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => peers.delete(peer));
    peer.io.write(head);
    socket.pipe(peer.io).pipe(socket);
    peer.on("message", ({ data }) => (typeof data === "string" ? peer.text(data) : peer.binary(data)));
    peers.add(peer);
    peer.start();
  });
  server.listen(0, host);
  await once(server, "listening");
  return {
    port: server.address().port,
    broadcast(burst) {
      for (let i = 0; i < burst; i++) for (const peer of peers) peer.binary(payload);
    },
  };
}
