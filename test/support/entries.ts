// Every way into the Node adapter's server side, and what a client needs to come in there.

import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import * as tls from "node:tls";

import { onTestFinished } from "vitest";
import { WebSocket } from "ws";

import type { ConnectOptions, EndpointOptions, Message, Peer } from "../../src/adapters/node.js";
import { serve, upgradeEndpoint } from "../../src/adapters/node.js";

/** For tests only: nobody trusts it. */
export const TEST_TLS = {
  key: fs.readFileSync(new URL("./tls/test-only-key.pem", import.meta.url)),
  cert: fs.readFileSync(new URL("./tls/test-only-certificate.pem", import.meta.url)),
};

/** A path for a unix socket, gone after the test. */
export function socketPath(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sansocket-"));
  onTestFinished(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });
  return path.join(folder, "s");
}

/** A server that runs until the test is over. */
export interface Running<Context = unknown> {
  readonly peers: ReadonlySet<Peer<Context>>;
  close(options?: { code?: number; reason?: string; timeout?: number }): Promise<void>;
  readonly secure: boolean;
  /** For `connect`. */
  readonly url: string;
  readonly options: ConnectOptions;
  /** Where a raw peer connects to. */
  readonly where: { readonly port: number } | { readonly path: string };
  /** A client from npm. */
  readonly ws: () => WebSocket;
}

/** A way into the server side. */
export interface Entry {
  readonly name: string;
  start<Context = unknown>(options: EndpointOptions<Context>): Promise<Running<Context>>;
}

function entry(name: string, through: "serve" | "http", secure: boolean, unix: boolean): Entry {
  return {
    name,
    async start<Context>(options: EndpointOptions<Context>) {
      const socket = unix ? socketPath() : undefined;
      let running: Pick<Running<Context>, "peers" | "close">;
      let address: AddressInfo | string;
      if (through === "serve") {
        const server = await serve<Context>({
          ...options,
          host: "127.0.0.1",
          socketPath: socket,
          tls: secure ? TEST_TLS : undefined,
        });
        ({ address } = server);
        running = server;
      } else {
        const server = secure ? https.createServer(TEST_TLS) : http.createServer();
        const endpoint = upgradeEndpoint(options);
        server.on("upgrade", endpoint.handleUpgrade);
        await listen(server, socket);
        address = server.address() as AddressInfo | string;
        running = {
          peers: endpoint.peers,
          async close(closeOptions) {
            server.close();
            await endpoint.close(closeOptions);
          },
        };
      }
      onTestFinished(() => running.close({ timeout: 1 }));
      const port = typeof address === "string" ? 80 : address.port;
      const scheme = secure ? "wss" : "ws";
      const url = `${scheme}://127.0.0.1:${port}/`;
      return {
        peers: running.peers,
        secure,
        close: (closeOptions) => running.close(closeOptions),
        url,
        options: { socketPath: socket, ...(secure && { tls: { ca: TEST_TLS.cert } }) },
        where: socket === undefined ? { port } : { path: socket },
        ws() {
          const toSocket =
            socket === undefined
              ? {}
              : {
                  createConnection: () =>
                    secure ? tls.connect({ path: socket, ca: TEST_TLS.cert }) : net.connect({ path: socket }),
                };
          const client = new WebSocket(url, { ca: TEST_TLS.cert, perMessageDeflate: false, ...toSocket });
          onTestFinished(() => {
            client.terminate();
          });
          return client;
        },
      };
    },
  };
}

export function listen(server: net.Server, socket?: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    if (socket === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(socket, resolve);
  });
}

export const SERVE: Entry = entry("serve()", "serve", false, false);
export const SERVE_TLS: Entry = entry("serve() with TLS", "serve", true, false);
export const UPGRADE: Entry = entry("upgradeEndpoint() on an http.Server", "http", false, false);
export const UPGRADE_TLS: Entry = entry("upgradeEndpoint() on an https.Server", "http", true, false);
/** The entries whose bytes a raw peer can speak. */
export const PLAIN_ENTRIES: readonly Entry[] = [SERVE, UPGRADE];
export const TCP_ENTRIES: readonly Entry[] = [SERVE, SERVE_TLS, UPGRADE, UPGRADE_TLS];
export const ENTRIES: readonly Entry[] = [
  ...TCP_ENTRIES,
  entry("serve() on a unix socket", "serve", false, true),
  entry("serve() with TLS on a unix socket", "serve", true, true),
  entry("upgradeEndpoint() on an http.Server on a unix socket", "http", false, true),
];

/** A promise, and what settles it. */
export function deferred<T = void>(): {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
} {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

export function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Looks again and again until it is true; the test's own time-out ends what never comes. */
export async function eventually(look: () => boolean): Promise<void> {
  while (!look()) await wait(2);
}

/** Sends all messages back. */
export const ECHO: Pick<EndpointOptions, "message"> = {
  message(peer, message) {
    peer.send(message.data);
  },
};

/** The next message that an iteration brings; throws at its end. */
export async function next(iterator: AsyncIterator<Message, undefined>): Promise<Message> {
  const result = await iterator.next();
  if (result.done === true) throw new Error("there are no more messages");
  return result.value;
}

/** The next message, which must be a text. */
export async function nextText(iterator: AsyncIterator<Message, undefined>): Promise<string> {
  const message = await next(iterator);
  if (message.type !== "text") throw new Error("the message is not a text");
  return message.text;
}
