export const version = typeof Bun === "undefined" ? "" : Bun.version;

export function start({ host, payload }) {
  const peers = new Set();
  const server = Bun.serve({
    port: 0,
    hostname: host,
    fetch: (request, self) => (self.upgrade(request) ? undefined : new Response("", { status: 426 })),
    websocket: {
      idleTimeout: 0,
      maxPayloadLength: 2 ** 28,
      backpressureLimit: 2 ** 28,
      perMessageDeflate: false,
      open: (socket) => void peers.add(socket),
      message: (socket, message) => void socket.send(message),
      close: (socket) => void peers.delete(socket),
    },
  });
  return {
    port: server.port,
    broadcast(burst) {
      for (let i = 0; i < burst; i++) for (const socket of peers) socket.send(payload);
    },
  };
}
