// The other end of a real socket, written by hand: it says and leaves unsaid whatever a test wants.

import * as net from "node:net";
import * as tls from "node:tls";
import type { Duplex } from "node:stream";

import { onTestFinished } from "vitest";

import { bytes, parseFrames } from "./wire.js";
import type { WireFrame } from "./wire.js";
import type { WrittenMessage } from "./http.js";
import { parseWritten, upgradeRequest, upgradeResponse } from "./http.js";

/** A stream's far side: collects what arrives, and waits for what is to arrive. */
export class RawPeer {
  readonly stream: Duplex;
  /** What arrived and was not taken. */
  private stored: Uint8Array = Buffer.alloc(0);
  /** How many bytes arrived. */
  count = 0;
  /** The other side ended its side of the stream. */
  ended = false;
  /** The stream is gone. */
  gone = false;
  error: NodeJS.ErrnoException | undefined;
  private readonly waiting = new Set<() => void>();

  /** `reading: false`: nothing is read until `read()`. */
  constructor(stream: Duplex, { reading = true } = {}) {
    this.stream = stream;
    stream.on("end", () => {
      this.ended = true;
      this.changed();
    });
    stream.on("close", () => {
      this.gone = true;
      this.changed();
    });
    stream.on("error", (error) => {
      this.error = error;
      this.changed();
    });
    if (reading) this.read();
  }

  /** Begins to read. */
  read(): void {
    this.stream.on("data", (chunk: Uint8Array) => {
      this.stored = this.stored.length === 0 ? chunk : Buffer.concat([this.stored, chunk]);
      this.count += chunk.length;
      this.changed();
    });
  }

  /** All in one write. */
  send(...parts: readonly (string | Uint8Array)[]): void {
    this.stream.write(bytes(...parts));
  }

  /** Resolves with the first answer of `look` that is not undefined; rejects where the stream is gone before. */
  async until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.gone)
        throw new Error(`the stream is gone, ${this.stored.length} bytes are left`, { cause: this.error });
      await this.change();
    }
  }

  /** Resolves once the other side has ended its side. */
  async end(): Promise<void> {
    await this.until(() => (this.ended ? true : undefined));
  }

  /** Resolves once nothing more can come: the end or a reset. */
  async over(): Promise<void> {
    while (!this.ended && !this.gone) await this.change();
  }

  /** Resolves once the stream is gone, with the error that it went with. */
  async lost(): Promise<NodeJS.ErrnoException | undefined> {
    while (!this.gone) await this.change();
    return this.error;
  }

  /** Takes the next HTTP head. */
  head(): Promise<WrittenMessage> {
    return this.until(() => {
      const at = Buffer.from(this.stored).indexOf("\r\n\r\n");
      return at < 0 ? undefined : parseWritten(Buffer.from(this.take(at + 4)).toString("latin1"));
    });
  }

  /** Takes an HTTP response with its body, at the end of the stream. */
  async response(): Promise<WrittenMessage> {
    await this.end();
    return parseWritten(Buffer.from(this.take(this.stored.length)).toString("utf8"));
  }

  /** Takes the next frame. */
  frame(): Promise<WireFrame> {
    return this.until(() => {
      const size = frameSize(this.stored);
      return size === undefined || this.stored.length < size ? undefined : parseFrames(this.take(size))[0];
    });
  }

  /** Takes the next Close frame, skipping what is before it. */
  async close(): Promise<{ code: number; reason: string }> {
    for (;;) {
      const { opcode, payload } = await this.frame();
      if (opcode !== 8) continue;
      const code = payload.length < 2 ? 1005 : (payload[0] ?? 0) * 256 + (payload[1] ?? 0);
      return { code, reason: Buffer.from(payload.subarray(2)).toString() };
    }
  }

  private take(count: number): Uint8Array {
    const taken = this.stored.subarray(0, count);
    this.stored = this.stored.subarray(count);
    return taken;
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.waiting.add(resolve));
  }

  private changed(): void {
    for (const wake of this.waiting) wake();
    this.waiting.clear();
  }
}

function frameSize(data: Uint8Array): number | undefined {
  if (data.length < 2) return undefined;
  const short = (data[1] ?? 0) & 0x7f;
  const mask = (data[1] ?? 0) > 0x7f ? 4 : 0;
  const more = short < 126 ? 0 : short === 126 ? 2 : 8;
  if (data.length < 2 + more) return undefined;
  const length = more === 0 ? short : Number(`0x${Buffer.from(data.subarray(2, 2 + more)).toString("hex")}`);
  return 2 + more + mask + length;
}

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
