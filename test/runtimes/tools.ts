// What a case has at hand, on every runtime: the adapter, hostile peers over `node:net`, which all of them have, and an end
// to everything that was begun.

import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import * as tls from "node:tls";

import type { Server, Serving } from "../../src/adapters/endpoint.js";
import type { Message, Peer } from "../../src/adapters/peer.js";
import type { SocketConnecting } from "../../src/adapters/system.js";
import type { DeflateOptions } from "../../src/deflate/extension.js";
import type { Extension } from "../../src/handshake/extensions.js";
import { upgradeRequest, upgradeResponse } from "../support/http.js";
import type { WrittenMessage } from "../support/http.js";
import { RawPeer } from "../support/raw-stream.js";
import { bytes } from "../support/wire.js";

/** An adapter, as far as all of them are alike. */
export interface Adapter {
  permessageDeflate(options?: DeflateOptions): Extension;
  serve<Context = unknown>(
    options: Serving<Context> & {
      readonly tls?: { readonly key: string; readonly cert: string } | undefined;
    },
  ): Promise<Server<Context>>;
  connect<Context = unknown>(
    url: string | URL,
    options?: SocketConnecting<Context> & { readonly tls?: { readonly ca: string } | undefined },
  ): Promise<Peer<Context>>;
}

/** A transport that a server and a client can speak over. */
export type Over = "tcp" | "tls" | "unix";

/** A certificate for localhost and its addresses, its key, and the authority that a client has to trust. */
export interface TestTls {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** A way to a server, and how many bytes went along. */
export interface Relay {
  readonly url: string;
  readonly bytes: { toServer: number; toClient: number };
}

/** A server that listens, and how a client comes there. */
export interface Running<Context> extends Server<Context> {
  readonly port: number;
  connect<C = unknown>(options?: SocketConnecting<C>, path?: string): Promise<Peer<C>>;
}

export type RawSocket = RawPeer & { readonly stream: net.Socket };

export type RuntimeName = "node" | "bun" | "deno";

export class Tools {
  readonly adapter: Adapter;
  /** For what a runtime cannot do, and says so. */
  readonly runtime: RuntimeName;
  readonly tls: TestTls;
  private readonly endings: (() => unknown)[] = [];

  constructor(adapter: Adapter, runtime: RuntimeName, testTls: TestTls) {
    this.adapter = adapter;
    this.runtime = runtime;
    this.tls = testTls;
  }

  /** Runs when the case is over, the last one first. */
  atEnd(end: () => unknown): void {
    this.endings.push(end);
  }

  async end(): Promise<void> {
    for (const end of this.endings.reverse()) await end();
  }

  async serve<Context = unknown>(
    options: Serving<Context> = {},
    over: Over = "tcp",
  ): Promise<Running<Context>> {
    const { ca, key, cert } = this.tls;
    const socketPath = over === "unix" ? this.socketPath() : undefined;
    const server = await this.adapter.serve<Context>({
      host: "127.0.0.1",
      ...options,
      ...(socketPath !== undefined && { socketPath }),
      ...(over === "tls" && { tls: { key, cert } }),
    });
    this.atEnd(() => server.close({ timeout: 0 }));
    const { address, url } = server;
    return {
      ...server,
      port: typeof address === "string" ? 0 : address.port,
      connect: (connecting = {}, to = "/") =>
        this.connect(`${socketPath === undefined ? url : "ws://localhost"}${to}`, {
          ...connecting,
          ...(socketPath !== undefined && { socketPath }),
          ...(over === "tls" && { tls: { ca } }),
        }),
    };
  }

  async connect<C = unknown>(
    url: string,
    options: Parameters<Adapter["connect"]>[1] & SocketConnecting<C> = {},
  ): Promise<Peer<C>> {
    const peer = await this.adapter.connect<C>(url, options);
    this.atEnd(() => {
      peer.terminate();
    });
    return peer;
  }

  /** A port that leads to `port`. */
  async relay(port: number): Promise<Relay> {
    const bytes = { toServer: 0, toClient: 0 };
    const server = net.createServer((near) => {
      const far = net.connect(port, "127.0.0.1");
      near.on("data", ({ length }) => (bytes.toServer += length));
      far.on("data", ({ length }) => (bytes.toClient += length));
      near.pipe(far).pipe(near);
      const drop = (): void => {
        near.destroy();
        far.destroy();
      };
      for (const socket of [near, far]) socket.on("error", drop).on("close", drop);
      this.atEnd(drop);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.atEnd(() => server.close());
    return { url: `ws://127.0.0.1:${(server.address() as net.AddressInfo).port}/`, bytes };
  }

  /** A path for a unix socket, gone after the case. */
  socketPath(): string {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sansocket-"));
    this.atEnd(() => {
      fs.rmSync(folder, { recursive: true, force: true });
    });
    return path.join(folder, "s");
  }

  /** A TCP connection to a server, with TLS or without, to be spoken over by hand. */
  async raw(port: number, { secure = false, reading = true } = {}): Promise<RawSocket> {
    const to = { port, host: "127.0.0.1", allowHalfOpen: true, rejectUnauthorized: false };
    const socket = secure ? tls.connect(to) : net.connect(to);
    const peer = new RawPeer(socket, { reading });
    this.atEnd(() => {
      socket.destroy();
    });
    await new Promise((resolve, reject) => {
      socket.once(secure ? "secureConnect" : "connect", resolve).once("error", reject);
    });
    return peer as RawSocket;
  }

  /** A WebSocket client that is spoken for by hand; `more` goes with its request in one segment. */
  async rawClient(port: number, more: Uint8Array = bytes(), options = {}): Promise<RawSocket> {
    const peer = await this.raw(port, options);
    peer.send(upgradeRequest(), more);
    const { status } = await peer.head();
    if (status !== 101) throw new Error(`the server answered ${status}`);
    return peer;
  }

  /** A TCP server that a case speaks for; gives its URL. */
  async rawServer(serve: (peer: RawSocket) => unknown, options: { reading?: boolean } = {}): Promise<string> {
    const sockets = new Set<net.Socket>();
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      serve(new RawPeer(socket, options) as RawSocket);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    this.atEnd(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return `ws://127.0.0.1:${(server.address() as net.AddressInfo).port}/`;
  }
}

/** Reads a client's request and accepts it; `more` goes with the response in one segment. */
export async function acceptByHand(peer: RawPeer, more: Uint8Array = bytes()): Promise<WrittenMessage> {
  const request = await peer.head();
  peer.send(upgradeResponse(request.header("sec-websocket-key") ?? ""), more);
  return request;
}

export function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Looks again and again until it is true; the case's own time-out ends what never comes. */
export async function eventually(look: () => boolean): Promise<void> {
  while (!look()) await wait(2);
}

/** A promise, and what settles it. */
export function deferred<T = void>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((yes) => {
    resolve = yes;
  });
  return { promise, resolve };
}

/** What an iteration brings, `count` messages of it. */
export async function take(peer: AsyncIterable<Message>, count: number): Promise<Message[]> {
  const taken: Message[] = [];
  const iterator = peer[Symbol.asyncIterator]();
  while (taken.length < count) {
    const { done, value } = (await iterator.next()) as IteratorResult<Message, undefined>;
    if (done === true) throw new Error(`the messages end after ${taken.length}`);
    taken.push(value);
  }
  await iterator.return?.();
  return taken;
}

/** Bytes that are told apart wherever they are cut. */
export function pattern(length: number, seed = 0): Uint8Array {
  const made = new Uint8Array(length);
  for (let i = 0, state = seed + 1; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    made[i] = state >>> 16;
  }
  return made;
}

/** What a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it did not reject");
}
