// WebSockets over HTTP/2 (RFC 8441): our server and our client with each other, and each against raw node:http2.

import { once } from "node:events";
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import * as net from "node:net";

import { describe, expect, it, onTestFinished } from "vitest";

import type { ConnectOptions, EndpointOptions, Http2Endpoint, Peer } from "../../src/adapters/http2.js";
import { connect, HandshakeError, http2Endpoint, UsageError } from "../../src/adapters/http2.js";
import type { Extension } from "../../src/index.js";
import { deferred, ECHO, eventually, listen, next, nextText, TEST_TLS, wait } from "../support/entries.js";
import type { Http2Frame } from "../support/http2-wire.js";
import { END_STREAM, http2Proxy } from "../support/http2-wire.js";
import { noLooseEnds } from "../support/loose-ends.js";
import { bytes, concat, frame, parseFrames } from "../support/wire.js";

noLooseEnds();

type AnyServer = http2.Http2Server | http2.Http2SecureServer;

/** Listens until the test is over, whatever sessions are left then. */
async function running(server: AnyServer): Promise<number> {
  const sessions = new Set<http2.Http2Session>();
  server.on("session", (session: http2.Http2Session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => undefined);
  });
  onTestFinished(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  await listen(server);
  return (server.address() as AddressInfo).port;
}

const SETTINGS = { settings: { enableConnectProtocol: true } };

/** Our server, without TLS. */
async function serving<Context = unknown>(
  options: EndpointOptions<Context>,
): Promise<{ endpoint: Http2Endpoint<Context>; server: AnyServer; port: number; url: string }> {
  const endpoint = http2Endpoint(options);
  const server = http2.createServer(SETTINGS);
  server.on("stream", endpoint.handleStream);
  const port = await running(server);
  return { endpoint, server, port, url: `ws://127.0.0.1:${port}/` };
}

/** A session that the test owns. */
async function sessionTo(port: number): Promise<http2.ClientHttp2Session> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined);
  onTestFinished(() => {
    session.destroy();
  });
  await once(session, "remoteSettings");
  return session;
}

const CONNECT: http2.OutgoingHttpHeaders = {
  ":method": "CONNECT",
  ":protocol": "websocket",
  ":scheme": "https",
  ":authority": "example.com",
  ":path": "/chat",
  "sec-websocket-version": "13",
};

/** A raw client's extended CONNECT, and all that came back. */
class RawStream {
  readonly stream: http2.ClientHttp2Stream;
  readonly response: Promise<http2.IncomingHttpHeaders & { ":status"?: number }>;
  received: Uint8Array = bytes();
  ended = false;
  closed = false;

  constructor(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders = {}) {
    this.stream = session.request({ ...CONNECT, ...headers }, { endStream: false });
    this.stream.on("error", () => undefined);
    this.response = once(this.stream, "response").then(
      ([headers]) => headers as http2.IncomingHttpHeaders & { ":status"?: number },
    );
    this.response.catch(() => undefined);
    this.stream.on("data", (chunk: Uint8Array) => {
      this.received = concat([this.received, chunk]);
    });
    this.stream.on("end", () => {
      this.ended = true;
    });
    this.stream.on("close", () => {
      this.closed = true;
    });
  }
}

/** How many bytes are sent, around each form of the length, and over the stream's first window. */
const SIZES: readonly number[] = [0, 1, 125, 126, 65_535, 65_536, 1_000_000];

describe.each([false, true])("our client and our server, TLS: %s", (secure) => {
  async function both<Context = unknown>(options: EndpointOptions<Context>) {
    const endpoint = http2Endpoint(options);
    const server = secure
      ? http2.createSecureServer({ ...TEST_TLS, ...SETTINGS })
      : http2.createServer(SETTINGS);
    server.on("stream", endpoint.handleStream);
    const port = await running(server);
    const url = `${secure ? "wss" : "ws"}://127.0.0.1:${port}/`;
    const tls = secure ? { tls: { ca: TEST_TLS.cert } } : {};
    return {
      endpoint,
      url,
      connect: (more: ConnectOptions = {}, path = "") => connect(`${url}${path}`, { ...tls, ...more }),
    };
  }

  it("messages of every length, texts, pings; closed by the client", async () => {
    const { connect, endpoint } = await both(ECHO);
    const client = await connect();
    const [server] = endpoint.peers;
    const messages = client[Symbol.asyncIterator]();
    for (const size of SIZES) {
      const sent = Uint8Array.from({ length: size }, (_, index) => index * 31 + (index >> 8));
      client.send(sent);
      expect(Buffer.compare((await next(messages)).payload, sent)).toBe(0);
    }
    client.send("grüße 中 😀");
    expect(await nextText(messages)).toBe("grüße 中 😀");
    expect(await client.ping()).toBeTypeOf("number");
    client.close(4000, "bye");
    expect(await client.closed).toMatchObject({ code: 4000, clean: true, cause: { by: "local" } });
    expect(await server?.closed).toMatchObject({ code: 4000, reason: "bye", clean: true });
  });

  it("path, query, subprotocol, headers, context, address; closed by the server", async () => {
    const opened = deferred<Peer<string>>();
    const { connect } = await both<string>({
      path: "/chat",
      upgrade: (request, { remoteAddress }) => ({
        subprotocol: "b",
        headers: [
          ["Set-Cookie", "a=1"],
          ["set-cookie", "b=2"],
          ["X-Answer", "grüße"],
          ["X-Answer", "again"],
          ["Keep-Alive", "timeout=5"],
        ],
        context: [request.query, request.httpVersion, request.header("x-user"), remoteAddress].join(" "),
      }),
      open: opened.resolve,
    });
    const client = await connect(
      { subprotocols: ["a", "b"], headers: { "X-User": ["ann", "bob"], "Proxy-Connection": "close" } },
      "chat?x=y",
    );
    expect([client.subprotocol, client.headers.filter(([name]) => name !== "date")]).toEqual([
      "b",
      [
        ["sec-websocket-protocol", "b"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["x-answer", "grüße, again"],
      ],
    ]);
    const server = await opened.promise;
    expect(server.context).toBe("x=y 2 ann, bob 127.0.0.1");
    server.close(4001);
    expect(await client.closed).toMatchObject({ code: 4001, clean: true, cause: { by: "peer" } });
    expect(await server.closed).toMatchObject({ code: 4001, clean: true });
  });

  it.each(["constructor", "__proto__", "toString", "valueOf"])(
    "a field may be called %s, in both directions",
    async (name) => {
      const { connect } = await both({
        upgrade: (request) => ({ headers: [[name, `${request.header(name) ?? "none"}!`]] }),
      });
      const client = await connect({ headers: [[name, "v"]] });
      expect(client.headers.filter(([key]) => key !== "date")).toEqual([[name.toLowerCase(), "v!"]]);
      client.terminate();
    },
  );

  it("cookies are one field: joined as cookies are (RFC 9113 8.2.3)", async () => {
    const { connect, endpoint } = await both({});
    const client = await connect({ headers: { cookie: ["a=1", "b=2"] } });
    expect([...endpoint.peers][0]?.request?.header("cookie")).toBe("a=1; b=2");
    client.terminate();
  });

  it("rejected, with a body", async () => {
    const { connect } = await both({ path: "/chat" });
    const failed = connect();
    await expect(failed).rejects.toBeInstanceOf(HandshakeError);
    const { response } = (await failed.catch((error: unknown) => error as HandshakeError)) as HandshakeError;
    expect(response).toMatchObject({ status: 404, complete: true });
    expect(Buffer.from(response?.body ?? []).toString()).toBe('there is no WebSocket at "/"\n');
  });

  it("dropped on either side: 1006 on the other", async () => {
    const { connect, endpoint } = await both({});
    for (const drops of ["client", "server"]) {
      const client = await connect();
      const server = [...endpoint.peers].at(-1);
      (drops === "client" ? client : server)?.terminate();
      const lost = { code: 1006, clean: false, cause: { by: "transport", rule: "transport-lost" } };
      expect(await (drops === "client" ? server : client)?.closed).toMatchObject(lost);
    }
  });
});

describe("several WebSockets on one session", () => {
  it("they share it with other requests, and none disturbs another", async () => {
    const { server, url, port } = await serving(ECHO);
    server.on("stream", (stream, headers) => {
      if (headers[":method"] === "GET") stream.end("a page");
    });
    let sessions = 0;
    server.on("session", () => sessions++);
    const session = http2.connect(`http://127.0.0.1:${port}`);
    onTestFinished(() => {
      session.destroy();
    });
    // At once, while the session still connects: more than PINGs may be out.
    const clients = await Promise.all(Array.from({ length: 30 }, () => connect(url, { session })));
    const page = session.request({ ":path": "/" });
    for (const [index, client] of clients.entries()) client.send(`${index}`);
    clients[0]?.terminate();
    for (const [index, client] of clients.entries()) {
      if (index > 0) expect(await nextText(client[Symbol.asyncIterator]())).toBe(`${index}`);
    }
    expect(String((await page.toArray())[0])).toBe("a page");
    for (const client of clients) client.close();
    await Promise.all(
      clients.slice(1).map(async (client) => expect(await client.closed).toMatchObject({ clean: true })),
    );
    expect([sessions, session.closed]).toEqual([1, false]);
  });

  it("a peer that is not read holds nothing else up", async () => {
    const { url, port } = await serving({
      open: (peer) => {
        if (peer.request?.path === "/flood") while (peer.send(new Uint8Array(16_384)));
      },
      ...ECHO,
    });
    const session = await sessionTo(port);
    const flooded = await connect(`${url}flood`, { session });
    const other = await connect(url, { session });
    other.send("hi");
    expect(await nextText(other[Symbol.asyncIterator]())).toBe("hi");
    flooded.terminate();
    other.close();
    expect(await other.closed).toMatchObject({ clean: true });
  });

  it.each([true, false])(
    "a session whose PINGs are all out; its SETTINGS came already: %s",
    async (knows) => {
      const { url, port } = await serving({});
      const proxy = await http2Proxy(port);
      const session = http2.connect(`http://127.0.0.1:${proxy.port}`, { maxOutstandingPings: 1 });
      session.on("error", () => undefined);
      onTestFinished(() => {
        session.destroy();
      });
      await once(session, "connect");
      const settings = once(session, "remoteSettings");
      if (knows) await settings;
      else proxy.hold();
      const pong = new Promise((resolve) => session.ping(resolve));
      if (knows) (await connect(url, { session })).terminate();
      else await expect(connect(url, { session })).rejects.toBeInstanceOf(HandshakeError);
      if (!knows) proxy.letGo();
      expect(await pong).toBe(null);
      await settings;
      (await connect(url, { session })).terminate();
    },
  );

  it("a session that goes takes all of them along", async () => {
    const { url, port, endpoint } = await serving({});
    const session = await sessionTo(port);
    const clients = await Promise.all([connect(url, { session }), connect(url, { session })]);
    const servers = [...endpoint.peers];
    session.destroy();
    for (const peer of [...clients, ...servers]) expect(await peer.closed).toMatchObject({ code: 1006 });
    await expect(connect(url, { session })).rejects.toBeInstanceOf(HandshakeError);
  });
});

describe("backpressure", () => {
  it("a sender waits for who reads slowly, in both directions", async () => {
    const opened = deferred<Peer>();
    const { url } = await serving({ open: opened.resolve });
    const client = await connect(url);
    const server = await opened.promise;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      const whole = new Uint8Array(100_000);
      let count = 1;
      while (from.send(whole)) {
        await new Promise((resolve) => setImmediate(resolve));
        if (++count === 200) throw new Error("nobody reads, and there is no end to sending");
      }
      const drained = from.drained();
      const messages = to[Symbol.asyncIterator]();
      for (let index = 0; index < count; index++)
        expect((await next(messages)).payload).toHaveLength(100_000);
      expect(await drained).toBe(true);
      await messages.return?.();
    }
    client.terminate();
  });
});

describe("what is on the wire", () => {
  it("RFC 8441 5: no Connection, Upgrade, Key or Accept; 200; the client masks; END_STREAM both ways", async () => {
    const seen = deferred<readonly string[]>();
    const { server, port } = await serving(ECHO);
    server.on("stream", (_stream: unknown, _headers: unknown, _flags: unknown, raw: readonly string[]) =>
      seen.resolve(raw),
    );
    const { port: through, fromClient, fromServer } = await http2Proxy(port);
    const url = `ws://127.0.0.1:${through}/a?b`;
    const origin = `http://127.0.0.1:${through}`;
    const peer = await connect(url, { origin, headers: { Cookie: "a=b" }, subprotocols: ["x", "y"] });
    expect(await seen.promise).toEqual([
      ...[":method", "CONNECT", ":protocol", "websocket", ":scheme", "http"],
      ...[":authority", `127.0.0.1:${through}`, ":path", "/a?b"],
      ...["sec-websocket-version", "13", "origin", origin],
      ...["sec-websocket-protocol", "x, y", "cookie", "a=b"],
    ]);
    expect(peer.headers.map(([name]) => name)).toEqual(["date"]);
    peer.send("hi");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("hi");
    peer.close();
    await peer.closed;
    await eventually(() => dataOf(fromClient).at(-1)?.flags === END_STREAM);
    const sent = parseFrames(concat(dataOf(fromClient).map(({ payload }) => payload)));
    expect(sent.map(({ opcode, masked }) => [opcode, masked])).toEqual([
      [1, true],
      [8, true],
    ]);
    expect(dataOf(fromServer).at(-1)?.flags).toBe(END_STREAM);
    expect([...fromClient, ...fromServer].map(({ type }) => type)).not.toContain("RST_STREAM");
  });

  it.each(["client", "server"])("an abort by the %s is RST_STREAM with CANCEL, and no end", async (who) => {
    const opened = deferred<Peer>();
    const { port } = await serving({ open: opened.resolve });
    const { port: through, fromClient, fromServer } = await http2Proxy(port);
    const session = await sessionTo(through);
    const client = await connect(`ws://127.0.0.1:${through}/`, { session });
    const server = await opened.promise;
    const frames = who === "client" ? fromClient : fromServer;
    (who === "client" ? client : server).terminate();
    await eventually(() => frames.some(({ type }) => type === "RST_STREAM"));
    expect(frames.find(({ type }) => type === "RST_STREAM")?.payload.readUInt32BE()).toBe(8);
    expect(dataOf(frames)).toEqual([]);
  });

  it("RFC 8441 3: no CONNECT before the server's SETTINGS", async () => {
    const { port } = await serving({});
    const proxy = await http2Proxy(port);
    proxy.hold();
    const asked = connect(`ws://127.0.0.1:${proxy.port}/`);
    await eventually(() => proxy.fromClient.some(({ type }) => type === "PING"));
    expect(proxy.fromClient.map(({ type }) => type)).not.toContain("HEADERS");
    proxy.letGo();
    (await asked).terminate();
    expect(proxy.fromClient.map(({ type }) => type)).toContain("HEADERS");
  });
});

const dataOf = (frames: readonly Http2Frame[]): Http2Frame[] => frames.filter(({ type }) => type === "DATA");

describe("our server and a raw client", () => {
  it.each<[string, Readonly<Record<string, string | string[] | undefined>>, number, object]>([
    ["another :protocol", { ":protocol": "connect-udp" }, 501, {}],
    ["a bad version", { "sec-websocket-version": "12" }, 400, { "sec-websocket-version": "13" }],
    ["no version", { "sec-websocket-version": undefined }, 400, { "sec-websocket-version": "13" }],
    ["two versions", { "sec-websocket-version": ["13", "13"] }, 400, {}],
    ["another page's Origin", { origin: "https://evil.example" }, 403, {}],
    ["subprotocols that are no tokens", { "sec-websocket-protocol": "a b" }, 400, {}],
    ["malformed extensions", { "sec-websocket-extensions": "a;" }, 400, {}],
    ["another path", { ":path": "/elsewhere" }, 404, {}],
    ["another :scheme", { ":scheme": "ftp" }, 400, {}],
  ])("%s", async (_, headers, status, fields) => {
    const { port, endpoint } = await serving({ path: "/chat" });
    const raw = new RawStream(await sessionTo(port), headers);
    expect(await raw.response).toMatchObject({ ":status": status, ...fields });
    await eventually(() => raw.ended);
    expect(raw.received.length).toBeGreaterThan(0); // it says why
    raw.stream.end();
    await eventually(() => raw.closed);
    expect(endpoint.peers.size).toBe(0);
  });

  it("a rejection without a body: 304", async () => {
    const { port } = await serving({ upgrade: () => ({ status: 304, body: "x" }) });
    const raw = new RawStream(await sessionTo(port));
    expect(await raw.response).toMatchObject({ ":status": 304 });
    await eventually(() => raw.ended);
    expect(raw.received).toHaveLength(0);
  });

  it("requests that are no extended CONNECT are left to others", async () => {
    const { port, server } = await serving({});
    const answers: unknown[] = [];
    server.on("stream", (stream, headers) => {
      if (headers[":protocol"] !== undefined) return;
      answers.push(headers[":method"]);
      stream.respond({ ":status": 418 });
      stream.end();
    });
    const session = await sessionTo(port);
    for (const asked of [{ ":path": "/" }, { ":method": "CONNECT", ":authority": "a:1" }]) {
      const [headers] = (await once(session.request(asked), "response")) as [http2.IncomingHttpHeaders];
      expect(headers[":status"]).toBe(418);
    }
    expect(answers).toEqual(["GET", "CONNECT"]);
  });

  it("extensions are negotiated as ever", async () => {
    const extension: Extension = {
      name: "x-test",
      offer: () => [],
      accept: () => ({ parameters: [["yes", undefined]] }),
      confirm: () => undefined,
    };
    const { port } = await serving({ extensions: [extension] });
    const raw = new RawStream(await sessionTo(port), { "sec-websocket-extensions": "unknown, x-test; a=b" });
    expect(await raw.response).toMatchObject({ ":status": 200, "sec-websocket-extensions": "x-test; yes" });
    raw.stream.close();
  });

  it.each<[string, (raw: RawStream) => void, object]>([
    [
      "an unmasked frame",
      ({ stream }) => void stream.write(frame({ opcode: 1 })),
      { sent: { code: 1002 }, cause: { by: "peer", rule: "unmasked-frame" } },
    ],
    [
      "END_STREAM without a Close",
      ({ stream }) => stream.end(),
      { code: 1006, clean: false, cause: { by: "peer", rule: "no-close" } },
    ],
    [
      "half a frame, then END_STREAM",
      ({ stream }) => stream.end(frame({ opcode: 1, payload: "hello", masked: true }).subarray(0, 3)),
      { code: 1006, clean: false, cause: { by: "peer", rule: "no-close" } },
    ],
    [
      "RST_STREAM with NO_ERROR",
      ({ stream }) => stream.destroy(),
      { code: 1006, clean: false, cause: { by: "transport", rule: "transport-lost" } },
    ],
    [
      "RST_STREAM with INTERNAL_ERROR",
      ({ stream }) => stream.destroy(new Error("mine")),
      { code: 1006, clean: false, cause: { by: "transport", rule: "transport-lost" } },
    ],
    [
      "a Close, then RST_STREAM",
      async ({ stream }) => {
        stream.write(frame({ opcode: 8, masked: true }));
        await once(stream, "end");
        stream.destroy();
      },
      { code: 1005, clean: true },
    ],
  ])("%s", async (_, act, expected) => {
    const closed = deferred<unknown>();
    const { port } = await serving({ close: (_peer, event) => closed.resolve(event) });
    const raw = new RawStream(await sessionTo(port));
    await raw.response;
    act(raw);
    expect(await closed.promise).toMatchObject(expected);
    raw.stream.destroy();
  });

  it("frames that come with the request are not lost", async () => {
    const { port } = await serving({
      ...ECHO,
      upgrade: () => wait(5).then(() => undefined),
    });
    const raw = new RawStream(await sessionTo(port));
    raw.stream.end(
      concat([frame({ opcode: 1, payload: "hi", masked: true }), frame({ opcode: 8, masked: true })]),
    );
    await eventually(() => raw.ended);
    expect(parseFrames(raw.received).map(({ opcode }) => opcode)).toEqual([1, 8]);
  });

  it("a client that is gone before the answer", async () => {
    const asked = deferred();
    const answer = deferred<undefined>();
    const { port, endpoint } = await serving({
      upgrade: () => {
        asked.resolve();
        return answer.promise;
      },
    });
    const session = await sessionTo(port);
    const raw = new RawStream(session);
    await asked.promise;
    raw.stream.destroy();
    const second = new RawStream(session);
    answer.resolve(undefined);
    expect(await second.response).toMatchObject({ ":status": 200 });
    expect(endpoint.peers.size).toBe(1);
    second.stream.destroy();
  });

  it.each<[string, (raw: RawStream) => void]>([
    ["reset", ({ stream }) => void stream.destroy()],
    ["reset with an error", ({ stream }) => void stream.destroy(new Error("mine"))],
    ["gone with its session", ({ stream }) => stream.session?.destroy()],
  ])("a stream that is %s before it is handed in leaves nothing", async (_, act) => {
    const opened: Peer[] = [];
    const endpoint = http2Endpoint({ open: (peer) => void opened.push(peer) });
    const server = http2.createServer(SETTINGS);
    const [arrived, handed] = [deferred(), deferred()];
    server.on("stream", (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      arrived.resolve();
      stream.on("error", () => undefined);
      stream.on("close", () => {
        setImmediate(() => {
          endpoint.handleStream(stream, headers);
          handed.resolve();
        });
      });
    });
    const raw = new RawStream(await sessionTo(await running(server)));
    await arrived.promise;
    act(raw);
    await handed.promise;
    await wait(1);
    expect([endpoint.peers.size, ...opened.map(({ state }) => state)]).toEqual([0]);
    await endpoint.close({ timeout: 3_600_000 });
  });

  it("close(): 1001 to everyone, 503 to who comes then, and the session stays", async () => {
    const { port, endpoint, url } = await serving({});
    const session = await sessionTo(port);
    const client = await connect(url, { session });
    await endpoint.close();
    expect(await client.closed).toMatchObject({ code: 1001, clean: true });
    await expect(connect(url, { session })).rejects.toMatchObject({ response: { status: 503 } });
    expect(session.closed).toBe(false);
  });

  it("beside a listener for `request`: handed in from `connect`", async () => {
    const endpoint = http2Endpoint(ECHO);
    const server = http2.createServer(SETTINGS, (_, response) => {
      response.end("a page");
    });
    server.on("connect", (request: http2.Http2ServerRequest) => {
      endpoint.handleStream(request.stream, request.headers, 0, request.rawHeaders);
    });
    const port = await running(server);
    const session = await sessionTo(port);
    const client = await connect(`ws://127.0.0.1:${port}/`, { session });
    client.send("hi");
    expect(await nextText(client[Symbol.asyncIterator]())).toBe("hi");
    expect(String((await session.request({ ":path": "/" }).toArray())[0])).toBe("a page");
    client.close();
    expect(await client.closed).toMatchObject({ clean: true });
  });
});

/** A raw server that answers extended CONNECT by hand. */
async function answering(
  answer: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  settings: http2.Settings = SETTINGS.settings,
): Promise<string> {
  const server = http2.createServer({ settings });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    stream.resume();
    answer(stream, headers);
  });
  return `ws://127.0.0.1:${await running(server)}/`;
}

describe("our client and a raw server", () => {
  it("SETTINGS without extended CONNECT: an error that says so, and no request", async () => {
    let asked = 0;
    const url = await answering(() => asked++, {});
    const failed = connect(url);
    await expect(failed).rejects.toBeInstanceOf(HandshakeError);
    await expect(failed).rejects.toMatchObject({
      cause: { by: "peer", rule: "extended-connect", section: "RFC 8441 3" },
    });
    expect(asked).toBe(0);
  });

  it.each([201, 204, 302, 400, 401, 501])("%i is no success: exactly 200 is", async (status) => {
    const url = await answering((stream) => {
      stream.respond({ ":status": status, "x-why": "because" });
      stream.end(status === 204 ? undefined : "a reason");
    });
    await expect(connect(url)).rejects.toMatchObject({
      cause: { rule: "rejected" },
      response: {
        status,
        complete: true,
        body: new Uint8Array(Buffer.from(status === 204 ? "" : "a reason")),
      },
    });
  });

  it.each<[string, (stream: http2.ServerHttp2Stream) => void, number]>([
    ["longer than the limit", (stream) => stream.end(Buffer.alloc(200_000)), 1000],
    ["cut by a reset", (stream) => void stream.write("abc", () => void stream.destroy()), 3],
    ["without an end", (stream) => void stream.write("abc"), 3],
  ])("a rejection's body %s is marked as cut", async (_, write, length) => {
    const url = await answering((stream) => {
      stream.respond({ ":status": 401 });
      write(stream);
    });
    const failed = connect(url, { limits: { body: 1000 }, timeouts: { linger: 100 } });
    await expect(failed).rejects.toMatchObject({ response: { status: 401, complete: false } });
    const { response } = (await failed.catch((error: unknown) => error)) as HandshakeError;
    expect(response?.body).toHaveLength(length);
  });

  it.each<[string, http2.OutgoingHttpHeaders, string]>([
    ["a subprotocol that was not offered", { "sec-websocket-protocol": "x" }, "response-subprotocol"],
    ["an extension that was not offered", { "sec-websocket-extensions": "x" }, "response-extension"],
  ])("%s fails the connection", async (_, headers, rule) => {
    const url = await answering((stream) => {
      stream.respond({ ":status": 200, ...headers });
    });
    await expect(connect(url)).rejects.toMatchObject({ cause: { by: "peer", rule } });
  });

  it.each<[string, (stream: http2.ServerHttp2Stream) => void, object]>([
    [
      "frames together with the response, and the end",
      (stream) => stream.end(concat([frame({ opcode: 1, payload: "hi" }), frame({ opcode: 8 })])),
      { code: 1005, clean: true },
    ],
    [
      "a masked frame",
      (stream) => void stream.write(frame({ opcode: 1, masked: true })),
      { sent: { code: 1002 }, cause: { by: "peer", rule: "masked-frame" } },
    ],
    ["END_STREAM", (stream) => stream.end(), { code: 1006, cause: { by: "peer", rule: "no-close" } }],
    [
      "RST_STREAM",
      (stream) => void stream.once("data", () => stream.destroy()),
      { code: 1006, cause: { by: "transport", rule: "transport-lost" } },
    ],
  ])("%s", async (_, act, expected) => {
    const texts: string[] = [];
    const url = await answering((stream) => {
      stream.respond({ ":status": 200 });
      act(stream);
    });
    const client = await connect(url, {
      message: (_peer, message) => void texts.push(String(message.data)),
      timeouts: { linger: 100 },
    });
    client.send("x");
    expect(await client.closed).toMatchObject(expected);
    expect(texts).toEqual(JSON.stringify(expected).includes("1005") ? ["hi"] : []);
  });

  it("RST_STREAM in place of a response: 1006 before it was open", async () => {
    const url = await answering((stream) => void stream.destroy(new Error("mine")));
    await expect(connect(url)).rejects.toMatchObject({ cause: { by: "transport", rule: "transport-lost" } });
  });

  it("no response, no SETTINGS, no listener, no HTTP/2: each comes to an end", async () => {
    const silent = await answering(() => undefined);
    await expect(connect(silent, { timeout: 20 })).rejects.toMatchObject({ name: "HandshakeError" });
    const sockets: net.Socket[] = [];
    const mute = net.createServer((socket) => void sockets.push(socket.on("error", () => undefined)));
    await listen(mute);
    const { port } = mute.address() as AddressInfo;
    const url = `ws://127.0.0.1:${port}/`;
    await expect(connect(url, { timeout: 20 })).rejects.toMatchObject({ cause: { by: "transport" } });
    const controller = new AbortController();
    const aborted = connect(url, { signal: controller.signal });
    const reason = new Error("changed my mind");
    setImmediate(() => {
      controller.abort(reason);
    });
    await expect(aborted).rejects.toBe(reason);
    const http1 = connect(url);
    await eventually(() => sockets.length === 3);
    for (const socket of sockets) socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    await expect(http1).rejects.toMatchObject({ cause: { by: "transport" } });
    mute.close();
    await expect(connect(url)).rejects.toMatchObject({ cause: { by: "transport" } });
  });

  it("a session of its own is closed with the connection", async () => {
    const { url, server } = await serving({});
    const closed = deferred();
    server.on("session", (session) => void session.on("close", closed.resolve));
    const client = await connect(url);
    client.close();
    await closed.promise;
  });

  it("a caller's mistake is a UsageError", async () => {
    await expect(connect("http2://a/")).rejects.toBeInstanceOf(UsageError);
    await expect(connect("ws://a/", { headers: { upgrade: "x" } })).rejects.toBeInstanceOf(UsageError);
    expect(() => http2Endpoint({ path: "chat" })).toThrow(UsageError);
  });
});
