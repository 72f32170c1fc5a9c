// The opening handshake as a client of the Node adapter sees it: whatever the server, the network and the options do.

import * as net from "node:net";
import type { Duplex } from "node:stream";

import { describe, expect, it, onTestFinished } from "vitest";

import type { ConnectOptions } from "../../src/adapters/node.js";
import { connect, HandshakeError, serve, upgradeEndpoint, UsageError } from "../../src/adapters/node.js";
import { deferred, ECHO, eventually, nextText, SERVE, SERVE_TLS, TEST_TLS } from "../support/entries.js";
import { head, upgradeResponse } from "../support/http.js";
import { noLooseEnds } from "../support/loose-ends.js";
import { acceptByHand, rawConnection, rawServer } from "../support/raw-peer.js";
import { bytes, concat, frame } from "../support/wire.js";

noLooseEnds();

async function failure(url: string, options: ConnectOptions = {}): Promise<unknown> {
  return connect(url, options).then(
    () => new Error("it was let in"),
    (error: unknown) => error,
  );
}

/** The error, which must be one of the opening handshake. */
async function refusal(url: string, options: ConnectOptions = {}): Promise<HandshakeError> {
  const error = await failure(url, options);
  if (!(error instanceof HandshakeError)) throw error;
  return error;
}

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("a server that cannot be had", () => {
  it.each(["127.0.0.1", "localhost"])(
    "a refused port on %s: the cause has the system's error",
    async (host) => {
      const error = await refusal(`ws://${host}:${await closedPort()}`);
      expect(error.cause).toMatchObject({ by: "transport", rule: "transport-lost" });
      expect(error.cause.error).toMatchObject({ code: "ECONNREFUSED" });
      expect(error.message).toContain("ECONNREFUSED");
      expect(error.response).toBeUndefined();
    },
  );

  it("a name that does not exist", async () => {
    const error = await refusal("ws://nowhere.invalid");
    expect(error.cause).toMatchObject({ by: "transport", rule: "transport-lost" });
  });

  it("a unix socket that does not exist", async () => {
    const error = await refusal("ws://localhost", { socketPath: "/nowhere/at/all" });
    expect(error.cause.error).toMatchObject({ code: "ENOENT" });
  });

  it("a server that never answers: the option `timeout`", async () => {
    const server = await rawServer(() => undefined);
    const error = await refusal(server.url, { timeout: 50 });
    expect(error.cause).toMatchObject({ by: "peer", rule: "handshake-timeout" });
    await eventually(
      () => server.sockets.size === 0 || [...server.sockets].every((one) => one.readableEnded),
    );
  });

  it("a server that answers byte by byte, too slowly", async () => {
    const server = await rawServer((raw) => {
      const timer = setInterval(() => raw.stream.write("HTTP/1.1 101 Switching Protocols"), 5);
      raw.stream.on("close", () => clearInterval(timer));
    });
    const error = await refusal(server.url, { timeout: 100, limits: { head: Infinity } });
    expect(error.cause).toMatchObject({ by: "peer", rule: "handshake-timeout" });
  });

  it.each([
    ["ends", (raw: net.Socket) => raw.end()],
    ["resets", (raw: net.Socket) => raw.resetAndDestroy()],
  ])("a server that %s before it answers", async (_, act) => {
    const server = await rawServer((raw) => {
      raw.stream.once("data", () => act(raw.stream));
    });
    const error = await refusal(server.url);
    expect(["no-handshake", "transport-lost"]).toContain(error.cause.rule);
  });
});

describe("a server that answers something else", () => {
  const rows: [string, string, string, number | undefined][] = [
    [
      "302",
      head("HTTP/1.1 302 Found", "Location: ws://elsewhere.example/", "Content-Length: 0"),
      "rejected",
      302,
    ],
    [
      "401",
      head("HTTP/1.1 401 Unauthorized", 'WWW-Authenticate: Basic realm="x"', "Content-Length: 4") + "who?",
      "rejected",
      401,
    ],
    ["200", head("HTTP/1.1 200 OK", "Content-Length: 2") + "ok", "rejected", 200],
    [
      "500 with an endless body",
      head("HTTP/1.1 500 No", "Content-Length: 99999") + "x".repeat(99999),
      "rejected",
      500,
    ],
    ["garbage", "SSH-2.0-OpenSSH_9.2\r\n", "bad-status-line", undefined],
    [
      "101 without Accept",
      head("HTTP/1.1 101 OK", "Upgrade: websocket", "Connection: Upgrade"),
      "response-accept",
      undefined,
    ],
    ["101 for another key", upgradeResponse("AAAAAAAAAAAAAAAAAAAAAA=="), "response-accept", undefined],
  ];
  it.each(rows)("%s", async (_, answer, rule, status) => {
    const server = await rawServer(async (raw) => {
      await raw.head();
      raw.send(answer);
    });
    const error = await refusal(server.url, { timeouts: { linger: 20 } });
    expect(error.cause).toMatchObject({ by: "peer", rule });
    expect(error.response?.status).toBe(status);
    if (status === 302)
      expect(error.response?.headers).toContainEqual(["Location", "ws://elsewhere.example/"]);
    if (status === 401) expect(new TextDecoder().decode(error.response?.body)).toBe("who?");
    if (status !== undefined) expect(error.message).toContain(String(status));
    // nothing is left open
    await eventually(() => [...server.sockets].every((one) => one.readableEnded || one.destroyed));
  });

  it("is not waited for: its answer says all, whether it ends its side or not", async () => {
    const forever = { timeouts: { linger: Infinity } };
    const rejecting = await rawServer(async (raw) => {
      await raw.head();
      raw.send(head("HTTP/1.1 302 Found", "Location: /there", "Content-Length: 0"));
    });
    expect((await refusal(rejecting.url, forever)).response?.status).toBe(302);
    const babbling = await rawServer((raw) => raw.send("220 mail.example ESMTP\r\n"));
    expect((await refusal(babbling.url, forever)).cause.rule).toBe("bad-status-line");
  });

  it("a subprotocol that was not offered", async () => {
    const server = await rawServer(async (raw) => {
      const request = await raw.head();
      raw.send(
        upgradeResponse(
          request.header("sec-websocket-key") ?? "",
          {},
          { more: ["Sec-WebSocket-Protocol: b"] },
        ),
      );
    });
    const error = await refusal(server.url, { subprotocols: ["a"], timeouts: { linger: 20 } });
    expect(error.cause.rule).toBe("response-subprotocol");
  });
});

describe("what is asked for", () => {
  it("goes into the request, and not twice", async () => {
    const seen = deferred<readonly (readonly [string, string])[]>();
    const lines = deferred<string>();
    const server = await rawServer(async (raw) => {
      const request = await acceptByHand(raw);
      lines.resolve(request.startLine);
      seen.resolve(request.headers);
    });
    await connect(`${server.url}/röom?x=ä b`, {
      subprotocols: ["a", "b"],
      origin: "https://page.example",
      headers: { Authorization: "Bearer x", "X-Two": ["1", "2"] },
    }).then((peer) => peer.terminate(), (error: unknown) => { throw error; }); // prettier-ignore
    expect(await lines.promise).toBe("GET /r%C3%B6om?x=%C3%A4%20b HTTP/1.1");
    const headers = await seen.promise;
    expect(headers).toContainEqual(["Host", `127.0.0.1:${server.port}`]);
    expect(headers).toContainEqual(["Origin", "https://page.example"]);
    expect(headers).toContainEqual(["Authorization", "Bearer x"]);
    expect(headers.filter(([name]) => name === "X-Two")).toHaveLength(2);
    expect(headers.filter(([name]) => name.toLowerCase() === "sec-websocket-protocol")).toEqual([
      ["Sec-WebSocket-Protocol", "a, b"],
    ]);
  });

  it.each<[string, string, ConnectOptions]>([
    ["no URL", "nowhere", {}],
    ["another scheme", "ftp://127.0.0.1/", {}],
    ["a fragment", "ws://127.0.0.1/#top", {}],
    ["a password", "ws://user:pass@127.0.0.1/", {}],
    ["a header that breaks the line", "ws://127.0.0.1/", { headers: { A: "b\r\nC: d" } }],
    ["a header of the handshake", "ws://127.0.0.1/", { headers: { "Sec-WebSocket-Key": "x" } }],
    ["subprotocols that repeat", "ws://127.0.0.1/", { subprotocols: ["a", "a"] }],
    ["a negative limit", "ws://127.0.0.1/", { limits: { message: -1 } }],
    ["a time-out of 0", "ws://127.0.0.1/", { timeout: 0 }],
  ])("%s is a UsageError, and nothing is connected", async (_, url, options) => {
    let made = 0;
    const createConnection = (): Duplex => {
      made++;
      return new net.Socket();
    };
    expect(await failure(url, { ...options, createConnection })).toBeInstanceOf(UsageError);
    expect(made).toBe(0);
  });
});

describe("frames in the same segment as the 101", () => {
  const HI = frame({ opcode: 1, payload: "hi" });

  it("are read by those who iterate", async () => {
    const server = await rawServer((raw) =>
      acceptByHand(raw, concat([HI, frame({ opcode: 1, payload: "ho" })])),
    );
    const peer = await connect(server.url);
    await new Promise((resolve) => setImmediate(resolve));
    const messages = peer[Symbol.asyncIterator]();
    expect([await nextText(messages), await nextText(messages)]).toEqual(["hi", "ho"]);
  });

  it("are pushed after `open`", async () => {
    const server = await rawServer((raw) => acceptByHand(raw, HI));
    const calls: string[] = [];
    const got = deferred();
    await connect(server.url, {
      open: () => void calls.push("open"),
      message(_, message) {
        calls.push(String(message.data));
        got.resolve();
      },
    });
    await got.promise;
    expect(calls).toEqual(["open", "hi"]);
  });

  it("a Close among them, with the end: the peer was open, its messages are there", async () => {
    const server = await rawServer(async (raw) => {
      await acceptByHand(raw, concat([HI, frame({ opcode: 8, payload: bytes(3, 0xe8, "bye") })]));
      raw.stream.end();
    });
    const peer = await connect(server.url);
    const got: string[] = [];
    for await (const message of peer) got.push(String(message.data));
    expect(got).toEqual(["hi"]);
    expect(await peer.closed).toMatchObject({ code: 1000, reason: "bye", clean: true });
  });

  it("one that breaks a rule: the peer was open, and failed", async () => {
    const server = await rawServer((raw) => acceptByHand(raw, bytes(0x83, 0)));
    const peer = await connect(server.url, { timeouts: { linger: 20 } });
    expect(await peer.closed).toMatchObject({ code: 1006, cause: { rule: "reserved-opcode" } });
  });
});

describe("an AbortSignal", () => {
  it("aborted before: nothing is connected", async () => {
    let made = 0;
    const reason = new Error("not today");
    const error = await failure("ws://127.0.0.1:1", {
      signal: AbortSignal.abort(reason),
      createConnection() {
        made++;
        return new net.Socket();
      },
    });
    expect([error, made]).toEqual([reason, 0]);
  });

  it("aborted while the server thinks: rejects with its reason, and the socket is gone", async () => {
    const asked = deferred();
    const gone = deferred();
    const server = await rawServer(async (raw) => {
      await raw.head();
      asked.resolve();
      await raw.over();
      gone.resolve();
    });
    const controller = new AbortController();
    const connecting = failure(server.url, { signal: controller.signal });
    await asked.promise;
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await connecting).toBe(reason);
    await gone.promise;
  });

  it("aborted while the socket is not connected yet", async () => {
    const controller = new AbortController();
    const connecting = failure(`ws://127.0.0.1:${await closedPort()}`, { signal: controller.signal });
    controller.abort();
    expect(await connecting).toMatchObject({ name: "AbortError" });
  });

  it("aborted while createConnection is pending: rejects with its reason, and what comes later is destroyed", async () => {
    const controller = new AbortController();
    const made = deferred<Duplex>();
    const connecting = failure("ws://127.0.0.1", {
      signal: controller.signal,
      createConnection: () => made.promise,
    });
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await connecting).toBe(reason);
    const late = new net.Socket();
    made.resolve(late);
    await eventually(() => late.destroyed);
  });

  it("aborted once it is open: does nothing", async () => {
    const server = await SERVE.start(ECHO);
    const controller = new AbortController();
    const peer = await connect(server.url, { signal: controller.signal });
    controller.abort();
    peer.send("still here");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("still here");
  });
});

describe("createConnection", () => {
  it.each<[string, (port: number) => Duplex | Promise<Duplex>]>([
    ["a socket that is connecting", (port) => net.connect(port, "127.0.0.1")],
    [
      "a promise of one that is connected",
      (port) =>
        new Promise((resolve) => {
          const socket = net.connect(port, "127.0.0.1", () => resolve(socket));
        }),
    ],
  ])("may give %s", async (_, make) => {
    const server = await serve({ ...ECHO, port: 0, host: "127.0.0.1" });
    onTestFinished(() => server.close({ timeout: 1 }));
    const { port } = server.address as net.AddressInfo;
    const seen: unknown[] = [];
    const peer = await connect("ws://far.example:81/x?y", {
      createConnection(url) {
        seen.push(url);
        return make(port);
      },
    });
    peer.send("through");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("through");
    expect(seen).toEqual([
      { secure: false, host: "far.example", port: 81, authority: "far.example:81", target: "/x?y" },
    ]);
    const [ours] = server.peers;
    expect(ours?.request?.authority).toBe("far.example:81");
    peer.close();
    expect(await peer.closed).toMatchObject({ clean: true });
  });

  it("through a proxy's CONNECT, with the first frames behind its answer", async () => {
    const server = await SERVE.start({ open: (peer) => void peer.send("first") });
    const proxy = net.createServer((socket) => {
      socket.once("data", () => {
        const { port } = server.where as { port: number };
        const onward = net.connect(port, "127.0.0.1", () => {
          socket.write(head("HTTP/1.1 200 OK"));
          socket.pipe(onward).pipe(socket);
        });
        onward.on("error", () => socket.destroy());
        socket.on("error", () => onward.destroy());
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void proxy.close());
    const peer = await connect("ws://far.example/", {
      async createConnection({ host, port }) {
        const socket = net.connect((proxy.address() as net.AddressInfo).port, "127.0.0.1");
        socket.write(head(`CONNECT ${host}:${port} HTTP/1.1`, `Host: ${host}:${port}`));
        await new Promise((resolve) => socket.once("data", resolve));
        return socket;
      },
    });
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("first");
    peer.close();
    expect(await peer.closed).toMatchObject({ clean: true });
  });

  it.each<[string, () => Duplex | Promise<Duplex>]>([
    ["rejects", () => Promise.reject(new Error("no proxy"))],
    ["throws", () => { throw new Error("no proxy"); }], // prettier-ignore
  ])("that %s is a HandshakeError with that as the cause's error", async (_, createConnection) => {
    const error = await refusal("ws://127.0.0.1", { createConnection });
    expect(error.cause).toMatchObject({ by: "transport", rule: "transport-lost" });
    expect(error.cause.error).toEqual(new Error("no proxy"));
  });

  it("that never resolves is given up after `timeout`; what comes later is destroyed", async () => {
    const made = deferred<Duplex>();
    const error = await refusal("ws://127.0.0.1", { timeout: 30, createConnection: () => made.promise });
    expect(error.cause).toMatchObject({ by: "transport", rule: "transport-lost" });
    const late = new net.Socket();
    made.resolve(late);
    await eventually(() => late.destroyed);
  });

  it("that is given up and rejects later harms nobody", async () => {
    const made = deferred<Duplex>();
    await refusal("ws://127.0.0.1", { timeout: 30, createConnection: () => made.promise });
    made.reject(new Error("late"));
    await new Promise((resolve) => setImmediate(resolve));
  });

  it("that gives a stream which is gone already", async () => {
    const error = await refusal("ws://127.0.0.1", { createConnection: () => new net.Socket().destroy() });
    expect(error.cause.rule).toBe("transport-lost");
  });

  it("that gives a stream which fails at once: its error is told, and thrown at nobody", async () => {
    const failed = new Error("no route");
    const createConnection = (): Duplex => new net.Socket().destroy(failed);
    // Outside of any promise the event `error` comes before what waits for one.
    const error = await new Promise<HandshakeError>((resolve) => {
      setImmediate(() => {
        resolve(refusal("ws://127.0.0.1", { createConnection }));
      });
    });
    expect(error.cause).toMatchObject({ by: "transport", rule: "transport-lost", error: failed });
  });
});

describe("TLS", () => {
  it.each<[string, ConnectOptions, RegExp]>([
    ["a certificate that nobody trusts", {}, /DEPTH_ZERO_SELF_SIGNED_CERT/],
    [
      "a certificate for another host",
      { tls: { ca: TEST_TLS.cert, servername: "other.example" } },
      /ERR_TLS_CERT_ALTNAME_INVALID/,
    ],
  ])("%s is refused", async (_, options, code) => {
    const server = await SERVE_TLS.start({});
    const error = await refusal(server.url, options);
    expect((error.cause.error as NodeJS.ErrnoException).code).toMatch(code);
    expect(server.peers.size).toBe(0);
  });

  it("wss: to a plain server fails, and the server lives on", async () => {
    const server = await SERVE.start(ECHO);
    expect((await refusal(server.url.replace("ws:", "wss:"))).cause.by).toBe("transport");
    const peer = await connect(server.url);
    peer.send("x");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("x");
  });

  it("ws: to a TLS server fails, and the server lives on", async () => {
    const server = await SERVE_TLS.start(ECHO);
    expect(await refusal(server.url.replace("wss:", "ws:"))).toBeInstanceOf(HandshakeError);
    const peer = await connect(server.url, server.options);
    peer.send("x");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("x");
  });

  it("a client that never speaks it is dropped after `timeouts.handshake`", async () => {
    const server = await SERVE_TLS.start({ ...ECHO, timeouts: { handshake: 100 } });
    for (const start of [bytes(), bytes(0x16, 3, 1, 1, 0)]) {
      const raw = await rawConnection(server.where);
      if (start.length > 0) raw.send(start);
      await raw.over();
    }
    const peer = await connect(server.url, server.options);
    peer.send("x");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("x");
  });

  it.each([Infinity, 2 ** 31])("`timeouts.handshake` may be %s", async (handshake) => {
    const server = await SERVE_TLS.start({ ...ECHO, timeouts: { handshake } });
    const peer = await connect(server.url, { ...server.options, timeout: handshake });
    peer.send("x");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("x");
  });

  it("a reset in the middle of its handshake harms nobody", async () => {
    const server = await SERVE_TLS.start(ECHO);
    const raw = await rawConnection(server.where);
    raw.send(bytes(0x16, 3, 1, 1, 0));
    raw.stream.resetAndDestroy();
    const peer = await connect(server.url, server.options);
    peer.send("x");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("x");
  });
});

describe("localhost", () => {
  it("finds a server on either family", async () => {
    const server = await serve({ ...ECHO, port: 0 });
    onTestFinished(() => server.close({ timeout: 1 }));
    expect(server.url).toMatch(/^ws:\/\/localhost:[0-9]+$/);
    const peer = await connect(server.url);
    peer.send("x");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("x");
  });

  it("a port in use rejects with the system's error", async () => {
    const server = await serve({ port: 0, host: "127.0.0.1" });
    onTestFinished(() => server.close());
    const { port } = server.address as net.AddressInfo;
    await expect(serve({ port, host: "127.0.0.1" })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  it.each<[string, object]>([
    ["origins: an origin in place of a list", { origins: "https://good.example" }],
    ["origins: null", { origins: null }],
    ["origins: a RegExp", { origins: /good/ }],
    ["path: without its slash", { path: "chat" }],
    ["path: empty", { path: "" }],
    ["path: a list", { path: ["/chat"] }],
    ["path: a RegExp", { path: /chat/ }],
  ])("%s is a bad option", async (_, options) => {
    await expect(serve({ port: 0, ...options })).rejects.toMatchObject({ code: "bad-option" });
    expect(() => upgradeEndpoint(options)).toThrow(expect.objectContaining({ code: "bad-option" }) as Error);
  });

  it("a bad option rejects before it listens", async () => {
    await expect(serve({ port: 0, limits: { message: -1 } })).rejects.toBeInstanceOf(UsageError);
  });
});
