const runtime = typeof Bun !== "undefined" ? "bun" : typeof Deno !== "undefined" ? "deno" : "node";
const { PreparedMessage, serve } = await import(`../../dist/adapters/${runtime}.js`);

export { version } from "../peers/sansocket.js";

export async function start({ host, payload }) {
  const server = await serve({
    port: 0,
    host,
    message: (peer, message) => void peer.send(message.data),
  });
  const prepared = new PreparedMessage(payload);
  return {
    port: server.address.port,
    broadcast(burst) {
      for (let i = 0; i < burst; i++) for (const peer of server.peers) peer.send(prepared);
    },
  };
}
