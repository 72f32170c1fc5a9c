// The opening handshake as a server of the Node adapter sees it: who is let in, with what, and what the others are told.

import * as http from "node:http";
import type { AddressInfo } from "node:net";

import { describe, expect, it, onTestFinished } from "vitest";

import type { EndpointOptions } from "../../src/adapters/node.js";
import { connect, HandshakeError, serve, upgradeEndpoint } from "../../src/adapters/node.js";
import {
  deferred,
  ECHO,
  eventually,
  listen,
  nextText,
  PLAIN_ENTRIES,
  SERVE,
  UPGRADE,
} from "../support/entries.js";
import { head, upgradeRequest } from "../support/http.js";
import type { WrittenMessage } from "../support/http.js";
import { noLooseEnds } from "../support/loose-ends.js";
import { rawClient, rawConnection } from "../support/raw-peer.js";
import { concat, frame } from "../support/wire.js";

noLooseEnds();

/** The error that `connect` rejects with. */
async function refusal(url: string, options: Parameters<typeof connect>[1] = {}): Promise<HandshakeError> {
  const error: unknown = await connect(url, options).then(
    () => new Error("it was let in"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof HandshakeError)) throw error;
  return error;
}

describe.each(PLAIN_ENTRIES)("$name", (entry) => {
  /** Sends a request, and gives what came back. */
  async function answer(
    options: EndpointOptions,
    changes: Parameters<typeof upgradeRequest>[0] = {},
    line?: string,
  ): Promise<WrittenMessage> {
    const server = await entry.start(options);
    const raw = await rawConnection(server.where);
    raw.send(upgradeRequest(changes, line === undefined ? {} : { line }));
    const first = await Promise.race([raw.end().then(() => raw.response()), untilOpen()]);
    return first;
    async function untilOpen(): Promise<WrittenMessage> {
      await eventually(() => server.peers.size > 0);
      return raw.head();
    }
  }

  describe("the hook `upgrade`", () => {
    it("sees the request and where it comes from", async () => {
      const seen: unknown[] = [];
      const server = await entry.start({
        upgrade(request, { remoteAddress }) {
          const { path, query, subprotocols, method, httpVersion } = request;
          seen.push({ path, query, subprotocols, method, httpVersion, cookie: request.header("COOKIE") });
          seen.push(remoteAddress);
          return undefined;
        },
      });
      await connect(`${server.url}room/1?name=a%20b`, {
        subprotocols: ["chat", "other"],
        headers: { Cookie: "a=1" },
      });
      expect(seen).toEqual([
        {
          path: "/room/1",
          query: "name=a%20b",
          subprotocols: ["chat", "other"],
          method: "GET",
          httpVersion: "1.1",
          cookie: "a=1",
        },
        "127.0.0.1",
      ]);
    });

    const accept = {
      subprotocol: "chat",
      headers: [
        ["Set-Cookie", "a=1; HttpOnly"],
        ["Set-Cookie", "b=2"],
        ["X-Node", "7"],
      ],
      context: { user: "Ada" },
    } as const;
    it.each([
      ["at once", () => accept],
      ["later", () => new Promise<typeof accept>((resolve) => setImmediate(resolve, accept))],
    ])("accepts %s with a subprotocol, headers, cookies and a context", async (_, upgrade) => {
      const opened = deferred<unknown>();
      const server = await entry.start<{ user: string }>({
        upgrade,
        open: (peer) =>
          opened.resolve([peer.context.user, peer.subprotocol, peer.request?.path, peer.remoteAddress]),
      });
      const peer = await connect(server.url, { subprotocols: ["other", "chat"] });
      expect(peer.subprotocol).toBe("chat");
      expect(peer.headers.filter(([name]) => /^(set-cookie|x-node)$/i.test(name))).toEqual(accept.headers);
      expect(await opened.promise).toEqual(["Ada", "chat", "/", "127.0.0.1"]);
      const [ours] = server.peers;
      expect(ours?.context).toEqual({ user: "Ada" });
      expect(peer.request).toBeUndefined();
    });

    const reject = {
      status: 401,
      headers: { "WWW-Authenticate": 'Basic realm="x"' },
      body: "who are you? ✋",
    };
    it.each([
      ["at once", () => reject],
      ["later", () => new Promise<typeof reject>((resolve) => setImmediate(resolve, reject))],
    ])("rejects %s with a status, headers and a body", async (_, upgrade) => {
      const calls: string[] = [];
      const server = await entry.start({
        upgrade,
        open: () => void calls.push("open"),
        close: () => void calls.push("close"),
        error: () => void calls.push("error"),
      });
      const { response, cause } = await refusal(server.url);
      expect(cause).toMatchObject({ by: "peer", rule: "rejected" });
      expect(response).toMatchObject({ status: 401, reason: "Unauthorized", complete: true });
      expect(new TextDecoder().decode(response?.body)).toBe("who are you? ✋");
      expect(response?.headers).toContainEqual(["WWW-Authenticate", 'Basic realm="x"']);
      expect(server.peers.size).toBe(0);
      expect(calls).toEqual([]);
    });

    it.each([
      ["throws", () => { throw new Error("no database"); }], // prettier-ignore
      ["rejects", () => Promise.reject(new Error("no database"))],
    ] as [string, () => never | Promise<never>][])(
      "that %s is a 500 without a word of why, and is reported to `error`",
      async (_, upgrade) => {
        const errors: unknown[] = [];
        const server = await entry.start({ upgrade, error: (error) => void errors.push(error) });
        const { response } = await refusal(server.url);
        expect(response?.status).toBe(500);
        expect(new TextDecoder().decode(response?.body)).not.toContain("database");
        expect(errors).toEqual([new Error("no database")]);
      },
    );

    it.each([
      ["a subprotocol that was not offered", { subprotocol: "nobody-asked" }],
      ["a header that breaks the line", { headers: { "X-A": "a\r\nX-B: b" } }],
      ["a status that is none", { status: 200 }],
    ])("that answers %s is a 500, and is reported", async (_, upgraded) => {
      const errors: unknown[] = [];
      const server = await entry.start({
        upgrade: () => upgraded,
        error: (error) => void errors.push(error),
      });
      expect((await refusal(server.url)).response?.status).toBe(500);
      expect(errors).toEqual([expect.objectContaining({ name: "UsageError" })]);
    });

    it("may answer with any thenable: a rejection in one keeps the client out", async () => {
      const rejection = { status: 403 };
      const thenable = { then: (resolve: (value: unknown) => void) => void setImmediate(resolve, rejection) };
      const server = await entry.start({ upgrade: () => thenable as unknown as Promise<typeof rejection> });
      expect((await refusal(server.url)).response?.status).toBe(403);
    });

    it.each(["accepts", "rejects", "throws"] as const)(
      "that %s after the client has gone harms nobody",
      async (how) => {
        const asked = deferred();
        const answered = deferred();
        const calls: string[] = [];
        const server = await entry.start({
          async upgrade(request) {
            if (request.path !== "/slow") return undefined;
            asked.resolve();
            await answered.promise;
            if (how === "throws") throw new Error("too late");
            return how === "accepts" ? { context: 1 } : { status: 403 };
          },
          open: (peer) => void calls.push(`open ${peer.request?.path ?? ""}`),
          close: () => void calls.push("close"),
          error: (error) => void calls.push(String(error)),
        });
        const raw = await rawConnection(server.where);
        raw.send(upgradeRequest({}, { line: "GET /slow HTTP/1.1" }));
        await asked.promise;
        raw.stream.resetAndDestroy();
        const other = await connect(server.url); // by now the reset has been seen
        expect(await other.ping()).toBeTypeOf("number");
        answered.resolve();
        expect(await other.ping()).toBeTypeOf("number");
        expect(calls).toEqual(how === "throws" ? ["open /", "Error: too late"] : ["open /"]);
        expect(server.peers.size).toBe(1);
      },
    );

    it("waits for its answer, and then reads what came meanwhile", async () => {
      const asked = deferred();
      const answered = deferred();
      const server = await entry.start({
        ...ECHO,
        async upgrade() {
          asked.resolve();
          await answered.promise;
          return undefined;
        },
      });
      const raw = await rawConnection(server.where);
      raw.send(upgradeRequest(), frame({ opcode: 1, payload: "early", masked: true }));
      await asked.promise;
      raw.send(frame({ opcode: 1, payload: "meanwhile", masked: true }));
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(raw.count).toBe(0);
      answered.resolve();
      expect((await raw.head()).status).toBe(101);
      expect(Buffer.from((await raw.frame()).payload).toString()).toBe("early");
      expect(Buffer.from((await raw.frame()).payload).toString()).toBe("meanwhile");
    });
  });

  describe("the path", () => {
    it.each([
      ["/chat", "/chat", 101],
      ["/chat", "/chat?x=1", 101],
      ["/chat", "/", 404],
      ["/chat", "/chat/", 404],
      ["/chat", "/chat2", 404],
      ["/chat", "/CHAT", 404],
      [undefined, "/anything", 101],
    ])("%s, asked for %s: %i", async (path, target, status) => {
      const got = await answer({ path }, {}, `GET ${target} HTTP/1.1`);
      expect(got.status).toBe(status);
      if (status === 404) expect(got.body).toContain(target);
    });
  });

  describe("the Origin (RFC 6455 10.2)", () => {
    const rows: [string, EndpointOptions["origins"], string | undefined, number][] = [
      ["absent passes", undefined, undefined, 101],
      ["the same host passes", undefined, "http://example.com", 101],
      ["the same host passes, TLS ended before us", undefined, "https://example.com", 101],
      ["another host is refused", undefined, "http://evil.example", 403],
      ["another port is refused", undefined, "http://example.com:8081", 403],
      ["null is refused", undefined, "null", 403],
      ["listed passes", ["http://a.example", "https://b.example"], "https://b.example", 101],
      ["not listed is refused", ["http://a.example"], "http://b.example", 403],
      ["the same host passes beside a list", ["http://a.example"], "http://example.com", 101],
      ["null passes where it is listed", ["null"], "null", 101],
      ['"*" lets all pass', "*", "http://anywhere.example", 101],
      ["a function says yes", (origin) => origin.endsWith(".a.example"), "http://x.a.example", 101],
      [
        "a function that promises an answer lets nobody in",
        (() => Promise.resolve(true)) as never,
        "http://a.example",
        403,
      ],
      [
        "a function whose answer is only truthy lets nobody in",
        (() => "yes") as never,
        "http://a.example",
        403,
      ],
      ["a function says no", (origin) => origin.endsWith(".a.example"), "http://x.b.example", 403],
    ];
    it.each(rows)("%s", async (_, origins, origin, status) => {
      const got = await answer({ origins }, { Origin: origin });
      expect(got.status).toBe(status);
    });

    it("the 403 names both hosts and the option", async () => {
      const { body } = await answer({}, { Origin: "http://evil.example" });
      expect(body).toContain("http://evil.example");
      expect(body).toContain("example.com");
      expect(body).toContain("origins");
    });

    it("connect() sends the one it is given", async () => {
      const server = await entry.start({});
      expect((await refusal(server.url, { origin: "http://evil.example" })).response?.status).toBe(403);
      await connect(server.url, { origin: server.url.replace("ws:", "http:").replace(/\/$/, "") });
    });

    it("a refused one never reaches the hook", async () => {
      let asked = 0;
      const { status } = await answer(
        {
          upgrade() {
            asked++;
            return undefined;
          },
        },
        { Origin: "http://evil.example" },
      );
      expect([status, asked]).toEqual([403, 0]);
    });

    it("a function that throws is a 500, and is reported", async () => {
      const errors: unknown[] = [];
      const { status } = await answer(
        {
          origins: () => {
            throw new Error("no list");
          },
          error: (error) => void errors.push(error),
        },
        { Origin: "http://evil.example" },
      );
      expect(status).toBe(500);
      expect(errors).toEqual([new Error("no list")]);
    });
  });

  describe("bad requests are answered by the core", () => {
    it.each([
      ["version 12", { "Sec-WebSocket-Version": "12" }, 426],
      ["no key", { "Sec-WebSocket-Key": undefined }, 400],
      ["Upgrade to something else", { Upgrade: "h2c" }, 426],
      [
        "a doubled key",
        { "Sec-WebSocket-Key": ["dGhlIHNhbXBsZSBub25jZQ==", "x3JJHMbDL1EzLkh9GBhXDw=="] },
        400,
      ],
    ])("%s: %i", async (_, changes, status) => {
      const got = await answer({}, changes);
      expect(got.status).toBe(status);
      expect(got.header("connection")).toContain("close");
      if (status === 426) expect(got.header("sec-websocket-version")).toBe("13");
    });
  });

  describe("frames in the same segment as the request", () => {
    it("are read", async () => {
      const server = await entry.start(ECHO);
      const raw = await rawClient(
        server.where,
        concat([
          frame({ opcode: 1, payload: "one", masked: true }),
          frame({ opcode: 2, payload: Uint8Array.of(2), masked: true }),
          frame({ opcode: 1, payload: "three", masked: true }).subarray(0, 7), // the rest follows
        ]),
      );
      raw.send(frame({ opcode: 1, payload: "three", masked: true }).subarray(7));
      expect(Buffer.from((await raw.frame()).payload).toString()).toBe("one");
      expect([...(await raw.frame()).payload]).toEqual([2]);
      expect(Buffer.from((await raw.frame()).payload).toString()).toBe("three");
    });

    it("wait for those who iterate", async () => {
      const server = await entry.start({
        async open(peer) {
          await new Promise((resolve) => setImmediate(resolve));
          for await (const message of peer) peer.send(message.data);
        },
      });
      const raw = await rawClient(server.where, frame({ opcode: 1, payload: "one", masked: true }));
      expect(Buffer.from((await raw.frame()).payload).toString()).toBe("one");
    });

    it("a Close among them is answered", async () => {
      const server = await entry.start({});
      const raw = await rawClient(server.where, frame({ opcode: 8, masked: true }));
      expect(await raw.close()).toEqual({ code: 1005, reason: "" });
      await raw.end();
    });
  });
});

describe("options that are an instance of a class", () => {
  const PATH = "/chat";

  /** All that it has is on its prototype. */
  class Chat implements EndpointOptions {
    readonly calls: string[];

    constructor(calls: string[]) {
      this.calls = calls;
      Object.defineProperty(this, "calls", { enumerable: false });
    }

    get path(): string {
      return PATH;
    }

    get limits(): { message: number } {
      return { message: 10 };
    }

    get open(): () => void {
      return () => this.calls.push("open");
    }

    get close(): () => void {
      return () => this.calls.push("close");
    }

    get error(): (error: unknown) => void {
      return (error) => this.calls.push(String(error));
    }

    upgrade(request: { query: string | undefined }): { status: number } | undefined {
      return request.query === "let=me-in" ? undefined : { status: 401 };
    }

    message(): never {
      throw new Error("of a method");
    }
  }

  it.each<[string, (calls: string[]) => Promise<string>]>([
    ["upgradeEndpoint()", async (calls) => (await UPGRADE.start(new Chat(calls))).url],
    [
      "serve()",
      async (calls) => {
        const server = await serve(new Chat(calls));
        onTestFinished(() => server.close({ timeout: 1 }));
        return `${server.url}/`;
      },
    ],
  ])("%s heeds them all: path, upgrade, limits and every handler", async (_, start) => {
    const calls: string[] = [];
    const url = await start(calls);
    expect((await refusal(url)).response?.status).toBe(404);
    expect((await refusal(`${url}chat`)).response?.status).toBe(401);
    expect(calls).toEqual([]);
    const long = await connect(`${url}chat?let=me-in`);
    long.send("more than ten bytes");
    expect((await long.closed).code).toBe(1009);
    const short = await connect(`${url}chat?let=me-in`);
    short.send("short");
    expect((await short.closed).code).toBe(1011);
    await eventually(() => calls.length === 5);
    expect(calls).toEqual(["open", "close", "open", "Error: of a method", "close"]);
  });
});

describe("a socket that was paused while somebody thought about the request", () => {
  it.each(["before the client's first message", "after it"])("is read again: %s", async (when) => {
    const endpoint = upgradeEndpoint({ ...ECHO });
    const server = http.createServer();
    const paused = deferred();
    const decided = deferred();
    server.on("upgrade", (request, socket, rest) => {
      socket.pause();
      paused.resolve();
      void decided.promise.then(() => endpoint.handleUpgrade(request, socket, rest));
    });
    await listen(server);
    onTestFinished(async () => {
      server.close();
      await endpoint.close({ timeout: 1 });
    });
    const raw = await rawConnection({ port: (server.address() as AddressInfo).port });
    raw.send(upgradeRequest());
    await paused.promise;
    const hello = frame({ opcode: 1, payload: "hello", masked: true });
    if (when === "after it") raw.send(hello);
    decided.resolve();
    expect((await raw.head()).status).toBe(101);
    if (when !== "after it") raw.send(hello);
    expect(Buffer.from((await raw.frame()).payload).toString()).toBe("hello");
  });
});

describe("a plain HTTP request to a serve() port", () => {
  it.each(["GET", "HEAD"])(
    "%s gets 426 and the end, and none but HEAD goes without a body",
    async (method) => {
      const server = await SERVE.start({});
      const raw = await rawConnection(server.where);
      raw.send(head(`${method} / HTTP/1.1`, "Host: example.com"));
      const got = await raw.response();
      expect([405, 426]).toContain(got.status);
      expect(got.body === "").toBe(method === "HEAD");
    },
  );

  it("by fetch", async () => {
    const server = await SERVE.start({});
    const response = await fetch(server.url.replace("ws:", "http:"));
    expect(response.status).toBe(426);
    expect(response.headers.get("upgrade")).toBe("websocket");
    expect(response.headers.get("sec-websocket-version")).toBe("13");
    expect(await response.text()).toContain("Upgrade: websocket");
  });

  it.each([
    ["garbage", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"],
    ["a bare LF", "GET / HTTP/1.1\nHost: a\n\n"],
  ])("%s gets 400 and the end", async (_, request) => {
    const server = await SERVE.start({});
    const raw = await rawConnection(server.where);
    raw.send(request);
    expect((await raw.response()).status).toBe(400);
  });

  it("half a request, then silence: 408 and the end", async () => {
    const server = await SERVE.start({ timeouts: { handshake: 50 } });
    const raw = await rawConnection(server.where);
    raw.send("GET / HTTP/1.1\r\nHost: exam");
    expect((await raw.response()).status).toBe(408);
    raw.stream.end();
    await raw.lost();
  });

  it("half a request, then the end: the connection is gone", async () => {
    const server = await SERVE.start({});
    const raw = await rawConnection(server.where);
    raw.send("GET / HTTP/1.1\r\nHost: exam");
    raw.stream.end();
    await raw.lost();
  });
});

describe("upgradeEndpoint()", () => {
  it("leaves plain requests to the server whose port it shares", async () => {
    const server = http.createServer((_, response) => response.end("a page"));
    const endpoint = upgradeEndpoint(ECHO);
    server.on("upgrade", endpoint.handleUpgrade);
    await listen(server);
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("a page");
    const peer = await connect(`ws://127.0.0.1:${port}/`);
    peer.send("hi");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("hi");
    peer.close();
    await peer.closed;
  });

  it("serves several paths of several endpoints on one server", async () => {
    const server = http.createServer();
    const [a, b] = ["a", "b"].map((name) => upgradeEndpoint({ open: (peer) => void peer.send(name) }));
    server.on("upgrade", (request, socket, rest) => {
      (request.url === "/a" ? a : b)?.handleUpgrade(request, socket, rest);
    });
    await listen(server);
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    for (const name of ["a", "b"]) {
      const peer = await connect(`ws://127.0.0.1:${port}/${name}`);
      expect(await nextText(peer[Symbol.asyncIterator]())).toBe(name);
      peer.terminate();
    }
  });

  it("a connection outlives the time-out that the server's sockets have for HTTP", async () => {
    const server = http.createServer();
    server.on("connection", (socket) => socket.setTimeout(100, () => socket.destroy()));
    const endpoint = upgradeEndpoint(ECHO);
    server.on("upgrade", endpoint.handleUpgrade);
    await listen(server);
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const peer = await connect(`ws://127.0.0.1:${port}/`);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(peer.state).toBe("open");
    peer.send("still here");
    expect(await nextText(peer[Symbol.asyncIterator]())).toBe("still here");
    peer.terminate();
  });

  it("takes a socket that is gone already", async () => {
    const server = http.createServer();
    const calls: string[] = [];
    const endpoint = upgradeEndpoint({
      open: () => void calls.push("open"),
      close: () => void calls.push("close"),
    });
    const handled = deferred();
    server.on("upgrade", (request, socket, rest) => {
      socket.destroy();
      endpoint.handleUpgrade(request, socket, rest);
      handled.resolve();
    });
    await listen(server);
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const raw = await rawConnection({ port });
    raw.send(upgradeRequest());
    await handled.promise;
    await raw.over();
    expect(calls.filter((call) => call === "close").length).toBe(calls.length / 2); // both or none
    expect(endpoint.peers.size).toBe(0);
    await endpoint.close();
  });

  it("answers 503 once it is closed", async () => {
    const server = http.createServer();
    const endpoint = upgradeEndpoint({});
    server.on("upgrade", endpoint.handleUpgrade);
    await listen(server);
    onTestFinished(() => void server.close());
    await endpoint.close();
    const { port } = server.address() as AddressInfo;
    expect((await refusal(`ws://127.0.0.1:${port}/`)).response?.status).toBe(503);
  });
});
