// The other end of a real socket, written by hand: it says and leaves unsaid whatever a test wants.

import * as net from "node:net";
import * as tls from "node:tls";

import { onTestFinished } from "vitest";

import type { WrittenMessage } from "./http.js";
import { upgradeRequest, upgradeResponse } from "./http.js";
import { RawPeer } from "./raw-stream.js";
import { bytes } from "./wire.js";

export { RawPeer } from "./raw-stream.js";

/** A connection to a server on a TCP port, with TLS where it has that; nothing is waited for. */
export function rawDial(
  server: { readonly where: unknown; readonly secure: boolean },
  { reading = true } = {},
): RawPeer {
  const { port } = server.where as { port: number };
  const to = { port, host: "127.0.0.1", allowHalfOpen: true };
  const stream = server.secure
    ? tls.connect({ ...to, rejectUnauthorized: false } as tls.ConnectionOptions)
    : net.connect(to);
  onTestFinished(() => {
    stream.destroy();
  });
  return new RawPeer(stream, { reading });
}

/** A TCP connection to a server, to be spoken over by hand. */
export async function rawConnection(
  where: { readonly port: number } | { readonly path: string },
  { reading = true } = {},
): Promise<RawPeer & { readonly stream: net.Socket }> {
  const socket = net.connect({ ...where, host: "127.0.0.1", allowHalfOpen: true });
  const peer = new RawPeer(socket, { reading });
  onTestFinished(() => {
    socket.destroy();
  });
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  return peer as RawPeer & { readonly stream: net.Socket };
}

/** A client that is open, with the bytes of its request at hand: `more` goes with the request in one segment. */
export async function rawClient(
  where: { readonly port: number } | { readonly path: string },
  more: Uint8Array = bytes(),
): Promise<RawPeer & { readonly stream: net.Socket }> {
  const peer = await rawConnection(where);
  peer.send(upgradeRequest(), more);
  const { status } = await peer.head();
  if (status !== 101) throw new Error(`the server answered ${status}`);
  return peer;
}

/** A TCP server that a test speaks for. */
export async function rawServer(
  serve: (peer: RawPeer & { readonly stream: net.Socket }) => unknown,
  options: { readonly reading?: boolean } = {},
): Promise<{ readonly port: number; readonly url: string; readonly sockets: ReadonlySet<net.Socket> }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    serve(new RawPeer(socket, options) as RawPeer & { readonly stream: net.Socket });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as net.AddressInfo;
  return { port, url: `ws://127.0.0.1:${port}`, sockets };
}

/** Reads a client's request and accepts it; `more` goes with the response in one segment. */
export async function acceptByHand(peer: RawPeer, more: Uint8Array = bytes()): Promise<WrittenMessage> {
  const request = await peer.head();
  peer.send(upgradeResponse(request.header("sec-websocket-key") ?? ""), more);
  return request;
}
