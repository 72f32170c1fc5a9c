import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

import type { RawData } from "ws";
import { WebSocket, WebSocketServer } from "ws";

import { deflatesWith } from "./deflate-exchanges.js";
import { exchangesWith } from "./exchanges.js";
import type { Command, Deflate, Implementation, Manner, Payload } from "./implementation.js";
import { ANSWERED, CHOSEN, REFUSAL, Remote, THEIR_LIMIT } from "./implementation.js";

const implementation = ws();
exchangesWith(implementation);
deflatesWith(implementation, { bits: { theirs: [8, 9, 12, 15], ours: [8, 9, 12, 15] } });

function ws(): Implementation {
  const awaited = new Map<string, Remote>();
  const clients: WebSocket[] = [];
  let count = 0;
  const common = { host: "127.0.0.1", port: 0, handleProtocols } as const;
  let servers: { readonly plain: WebSocketServer; readonly limited: WebSocketServer } | undefined;
  const compressing: WebSocketServer[] = [];

  function serverOf(manner: Manner): WebSocketServer {
    servers ??= {
      plain: welcome(new WebSocketServer({ ...common, verifyClient: letIn })),
      limited: welcome(new WebSocketServer({ ...common, maxPayload: THEIR_LIMIT })),
    };
    return manner === "/limit" ? servers.limited : servers.plain;
  }

  function compressingServer(deflate: Deflate): WebSocketServer {
    const server = welcome(
      new WebSocketServer({ ...common, perMessageDeflate: { ...deflate, threshold: 0 } }),
    );
    compressing.push(server);
    return server;
  }

  function welcome(server: WebSocketServer): WebSocketServer {
    server.on("headers", (headers) => headers.push(`X-Answered: ${ANSWERED}`));
    server.on("connection", (socket, request) => {
      const { searchParams } = new URL(request.url ?? "", "ws://host");
      const remote = awaited.get(searchParams.get("id") ?? "");
      if (remote === undefined) throw new Error(`nobody awaits ${request.url ?? ""}`);
      steer(socket, remote);
      remote.saw("open", {
        subprotocol: socket.protocol || undefined,
        header: one(request.headers["x-asked"]),
      });
    });
    return server;
  }

  return {
    name: "ws",
    connect: async ({ url, subprotocols = [], headers = {}, limited, deflate }) => {
      const socket = new WebSocket(url, [...subprotocols], {
        headers,
        ...(limited === true ? { maxPayload: THEIR_LIMIT } : {}),
        ...(deflate === undefined ? {} : { perMessageDeflate: { ...deflate, threshold: 0 } }),
      });
      clients.push(socket);
      const remote = new Remote(() => undefined);
      let answered: string | undefined;
      socket.on("upgrade", (response) => {
        answered = one(response.headers["x-answered"]);
      });
      socket.on("unexpected-response", (_, response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (body += chunk));
        response.on("end", () => {
          remote.saw("rejected", { status: response.statusCode ?? 0, body });
        });
      });
      socket.on("open", () => {
        remote.saw("open", { subprotocol: socket.protocol || undefined, header: answered });
      });
      steer(socket, remote);
      return remote;
    },
    listen: async (manner, deflate) => {
      const server = deflate === undefined ? serverOf(manner) : compressingServer(deflate);
      if (server.address() === null) await new Promise((resolve) => server.once("listening", resolve));
      const id = String(++count);
      const remote = new Remote(() => undefined);
      awaited.set(id, remote);
      return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}${manner}?id=${id}`, remote };
    },
    stop: () => {
      for (const client of clients) client.terminate();
      for (const server of [servers?.plain, servers?.limited, ...compressing]) {
        for (const client of server?.clients ?? []) client.terminate();
        server?.close();
      }
    },
  };
}

function handleProtocols(offered: Set<string>): string | false {
  return offered.has(CHOSEN) && CHOSEN;
}

function letIn(
  { req }: { readonly req: IncomingMessage },
  answer: (accepted: boolean, status?: number, body?: string) => void,
): void {
  const status = /^\/reject\/(\d+)/.exec(req.url ?? "")?.[1];
  if (status === undefined) answer(true);
  else answer(false, Number(status), REFUSAL);
}

function steer(socket: WebSocket, remote: Remote): void {
  socket.on("message", (data, isBinary) => {
    const payload = whole(data);
    remote.saw("message", { payload: isBinary ? payload : payload.toString() });
  });
  socket.on("ping", (payload) => {
    remote.saw("ping", { payload });
  });
  socket.on("pong", (payload) => {
    remote.saw("pong", { payload });
  });
  socket.on("close", (code, reason) => {
    remote.saw("closed", { code, reason: reason.toString() });
  });
  socket.on("error", () => undefined); // "close" follows
  remote.do = (command) => {
    carryOut(socket, command);
  };
}

function carryOut(socket: WebSocket, command: Command): void {
  const binary = (payload: Payload): boolean => typeof payload !== "string";
  switch (command.do) {
    case "send":
      socket.send(command.payload, { binary: binary(command.payload) });
      return;
    case "fragment":
      socket.send(command.payload, { binary: binary(command.payload), fin: command.final });
      return;
    case "ping":
      socket.ping(command.payload);
      return;
    case "close":
      socket.close(command.code, command.reason);
      return;
    case "drop":
      socket.terminate();
      return;
    case "write":
      (Reflect.get(socket, "_socket") as Duplex).write(command.bytes);
  }
}

function whole(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? Buffer.from(data) : data;
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(", ") : value;
}
