import { subscribe, unsubscribe } from "node:diagnostics_channel";

import { Agent, ping, WebSocket as UndiciWebSocket } from "undici";

import { exchangesWith } from "./exchanges.js";
import type { Command, Feature, Implementation } from "./implementation.js";
import { Remote, THEIR_LIMIT } from "./implementation.js";

// undici is a client only, and so is Node's own WebSocket, which is an undici of its own; their servers do not exist.

// Both take a text's first U+FEFF for a byte order mark, and drop it, where RFC 6455 8.1 and RFC 3629 have it kept.
const LACKS: readonly Feature[] = [
  "send fragments",
  "drop",
  "write raw bytes",
  "see rejections",
  "keep U+FEFF",
];

const undiciAgent = new Agent({ webSocket: { maxPayloadSize: THEIR_LIMIT } });

exchangesWith(
  whatwgClient({
    name: "undici, which is a client only",
    lacks: LACKS,
    create: (url, { subprotocols, headers, limited }) =>
      new UndiciWebSocket(url, {
        protocols: subprotocols,
        headers,
        ...(limited ? { dispatcher: undiciAgent } : {}),
      }),
    ping: (socket, payload) => {
      ping(socket as UndiciWebSocket, Buffer.from(payload));
    },
  }),
);

// Not every Node has it: its rows are there where it is.
const NodeWebSocket = Reflect.get(globalThis, "WebSocket") as
  (new (url: string, options: object) => BrowserSocket) | undefined;

if (NodeWebSocket !== undefined) {
  exchangesWith(
    whatwgClient({
      name: "Node's own WebSocket, which is a client only",
      lacks: [
        ...LACKS,
        "send pings",
        "see pings",
        "see pongs",
        "see response headers",
        "limit messages",
        "tell our faults",
      ],
      create: (url, { subprotocols, headers }) =>
        new NodeWebSocket(url, { protocols: subprotocols, headers }),
    }),
  );
}

/** What the two have in common with a browser's WebSocket. */
interface BrowserSocket {
  binaryType: string;
  readonly protocol: string;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: "close",
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
}

interface Whatwg {
  readonly name: string;
  readonly lacks: readonly Feature[];
  readonly create: (
    url: string,
    options: {
      readonly subprotocols: string[];
      readonly headers: Record<string, string>;
      readonly limited: boolean;
    },
  ) => BrowserSocket;
  readonly ping?: (socket: BrowserSocket, payload: Uint8Array) => void;
}

function whatwgClient({ name, lacks, create, ping: sendPing }: Whatwg): Implementation {
  const remotes = new Map<unknown, Remote>();
  // What a WebSocket does not show is told to whoever diagnoses it.
  const diagnoses: [channel: string, listener: (message: unknown) => void][] = [
    [
      "undici:websocket:open",
      (message) => {
        const { websocket, protocol, handshakeResponse } = message as {
          readonly websocket: unknown;
          readonly protocol: string;
          readonly handshakeResponse?: { readonly headers: Readonly<Record<string, string>> };
        };
        const header = handshakeResponse?.headers["x-answered"];
        remotes.get(websocket)?.saw("open", { subprotocol: protocol || undefined, header });
      },
    ],
    ...(["ping", "pong"] as const).map((kind): [string, (message: unknown) => void] => [
      `undici:websocket:${kind}`,
      (message) => {
        const { websocket, payload } = message as {
          readonly websocket: unknown;
          readonly payload?: Uint8Array;
        };
        remotes.get(websocket)?.saw(kind, { payload: new Uint8Array(payload ?? []) });
      },
    ]),
  ];
  const diagnosed = !lacks.includes("see response headers");
  if (diagnosed) for (const [channel, listener] of diagnoses) subscribe(channel, listener);

  return {
    name,
    lacks,
    connect: async ({ url, subprotocols = [], headers = {}, limited = false }) => {
      const socket = create(url, { subprotocols: [...subprotocols], headers, limited });
      socket.binaryType = "arraybuffer";
      const remote = new Remote((command) => {
        carryOut(socket, command, sendPing);
      });
      remotes.set(socket, remote);
      if (!diagnosed) {
        socket.addEventListener("open", () => {
          remote.saw("open", { subprotocol: socket.protocol || undefined, header: undefined });
        });
      }
      socket.addEventListener("message", ({ data }) => {
        remote.saw("message", {
          payload: typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer),
        });
      });
      socket.addEventListener("close", ({ code, reason }) => {
        remote.saw("closed", { code, reason });
      });
      let opened = false;
      socket.addEventListener("open", () => {
        opened = true;
      });
      socket.addEventListener("error", () => {
        if (!opened) remote.saw("refused", { opened });
      });
      return remote;
    },
    stop: () => {
      for (const [channel, listener] of diagnoses) unsubscribe(channel, listener);
    },
  };
}

function carryOut(socket: BrowserSocket, command: Command, sendPing: Whatwg["ping"]): void {
  switch (command.do) {
    case "send":
      socket.send(command.payload);
      return;
    case "ping":
      sendPing?.(socket, command.payload);
      return;
    case "close":
      socket.close(command.code, command.reason);
      return;
    case "drop": // at the end of a test; it cannot more than close
      socket.close();
      return;
    case "fragment":
    case "write":
      throw new Error(`it cannot: ${command.do}`);
  }
}
