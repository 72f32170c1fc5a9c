export const version = typeof Deno === "undefined" ? "" : Deno.version.deno;

export function start({ host, payload }) {
  const peers = new Set();
  const server = Deno.serve({ port: 0, hostname: host, onListen: () => undefined }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    socket.binaryType = "arraybuffer";
    socket.onopen = () => peers.add(socket);
    socket.onmessage = ({ data }) => socket.send(data);
    socket.onclose = () => peers.delete(socket);
    socket.onerror = () => peers.delete(socket);
    return response;
  });
  return {
    port: server.addr.port,
    broadcast(burst) {
      for (let i = 0; i < burst; i++) for (const socket of peers) socket.send(payload);
    },
  };
}
