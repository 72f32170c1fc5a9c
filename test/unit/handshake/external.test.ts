import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ClientRequest, HeaderList, RequestData, ResponseData, RuleName } from "../../../src/index.js";
import { ClientConnection, headerValue, headerValues, RULES, ServerConnection } from "../../../src/index.js";
import { acceptFor } from "../../../src/handshake/key.js";
import {
  eventsOf,
  GOOD_HEADERS,
  HI_FROM_CLIENT,
  HI_FROM_SERVER,
  latin1Text,
  only,
  SAMPLE_ACCEPT,
  testOptions,
  testPlatform,
  typesOf,
} from "../../support/http.js";

// The opening handshake as data: HTTP/2 and 3 (RFC 8441, RFC 9220), or an HTTP/1.1 stack of the embedder's.

const GET: RequestData = { method: "GET", target: "/chat", headers: Object.entries(GOOD_HEADERS) };
const CONNECT: RequestData = {
  method: "CONNECT",
  protocol: "websocket",
  scheme: "https",
  authority: "example.com",
  target: "/chat?x",
  headers: [["sec-websocket-version", "13"]],
};

function server(options = {}): ServerConnection {
  return new ServerConnection(testOptions({ http: "external", ...options }));
}

function withHeaders(data: RequestData, ...more: HeaderList): RequestData {
  return { ...data, headers: [...data.headers, ...more] };
}

function without(data: RequestData, name: string): RequestData {
  return { ...data, headers: data.headers.filter(([key]) => key.toLowerCase() !== name) };
}

function bodyOf(response: ResponseData | undefined): string {
  return latin1Text(response?.body === undefined ? undefined : [response.body]);
}

describe("a server is given a request as data", () => {
  it.each<[name: string, data: RequestData, expected: object]>([
    [
      "GET of HTTP/1.1",
      GET,
      { method: "GET", path: "/chat", authority: "example.com", httpVersion: "1.1", protocol: undefined },
    ],
    [
      "RFC 8441 5: extended CONNECT",
      CONNECT,
      {
        method: "CONNECT",
        path: "/chat",
        query: "x",
        authority: "example.com",
        scheme: "https",
        protocol: "websocket",
        httpVersion: "2",
      },
    ],
    ["RFC 9220 3: of HTTP/3", { ...CONNECT, httpVersion: "3" }, { httpVersion: "3" }],
    ["RFC 8441 5: the scheme http", { ...CONNECT, scheme: "http" }, { scheme: "http" }],
    ["an authority with a port", { ...CONNECT, authority: "[::1]:8443" }, { authority: "[::1]:8443" }],
    [
      "subprotocols, Origin",
      withHeaders(
        CONNECT,
        ["sec-websocket-protocol", "a"],
        ["sec-websocket-protocol", "b"],
        ["origin", "https://x"],
      ),
      { subprotocols: ["a", "b"], origin: "https://x" },
    ],
    [
      "RFC 8441 5: a key means nothing there",
      withHeaders(CONNECT, ["sec-websocket-key", "nonsense"]),
      { method: "CONNECT" },
    ],
  ])("request: %s", (_name, data, expected) => {
    const connection = server();
    connection.receiveRequest(data);
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("request");
    expect(only(events, "request").request).toMatchObject(expected);
    expect(connection).toMatchObject({ state: "connecting", response: undefined, deadline: undefined });
  });

  it("accept() to GET: 101 with the key's answer, nothing in bytes", () => {
    const connection = server();
    connection.receiveRequest(withHeaders(GET, ["Sec-WebSocket-Protocol", "a"]));
    expect(connection.accept({ subprotocol: "a", headers: { "X-Y": "z" } })).toBe(true);
    expect(connection.response).toMatchObject({
      status: 101,
      headers: [
        ["Upgrade", "websocket"],
        ["Connection", "Upgrade"],
        ["Sec-WebSocket-Accept", SAMPLE_ACCEPT],
        ["Sec-WebSocket-Protocol", "a"],
        ["X-Y", "z"],
      ],
    });
    expect(connection).toMatchObject({ state: "open", outputSize: 0 });
    const open = only(eventsOf(connection).slice(1), "open");
    expect(open.subprotocol).toBe("a");
    expect(open.headers).toEqual(connection.response?.headers);
  });

  it("RFC 8441 5: accept() to extended CONNECT: exactly 200, without key and upgrade", () => {
    const connection = server();
    connection.receiveRequest(withHeaders(CONNECT, ["sec-websocket-protocol", "a"]), HI_FROM_CLIENT);
    expect(typesOf(eventsOf(connection))).toBe("request");
    expect(connection.accept({ subprotocol: "a" })).toBe(true);
    expect(connection.response).toMatchObject({ status: 200, headers: [["Sec-WebSocket-Protocol", "a"]] });
    expect(connection.outputSize).toBe(0);
    expect(typesOf(eventsOf(connection))).toBe("open text");
    connection.sendText("x");
    expect(latin1Text(connection.takeOutput())).toBe("\x81\x01x");
  });

  it.each<[name: string, data: RequestData, rule: RuleName, status: number]>([
    ["RFC 8441 4: an unknown :protocol: 501", { ...CONNECT, protocol: "connect-udp" }, "protocol", 501],
    ["RFC 8441 4: :protocol in another case", { ...CONNECT, protocol: "WebSocket" }, "protocol", 501],
    ["RFC 8441 4: an empty :protocol", { ...CONNECT, protocol: "" }, "protocol", 501],
    ["a CONNECT that is not extended", { ...CONNECT, protocol: undefined }, "method", 405],
    ["another method", { ...GET, method: "POST" }, "method", 405],
    ["RFC 8441 5: no version: 400", without(CONNECT, "sec-websocket-version"), "version", 400],
    [
      "RFC 8441 5: another version: 400",
      { ...CONNECT, headers: [["sec-websocket-version", "12"]] },
      "version",
      400,
    ],
    ["another version by GET: 426", { ...without(GET, "sec-websocket-version") }, "version", 426],
    ["two versions", withHeaders(CONNECT, ["Sec-WebSocket-Version", "13"]), "doubled-header", 400],
    ["two Origins", withHeaders(CONNECT, ["origin", "a"], ["origin", "a"]), "doubled-header", 400],
    ["malformed subprotocols", withHeaders(CONNECT, ["sec-websocket-protocol", "a b"]), "subprotocols", 400],
    ["malformed extensions", withHeaders(CONNECT, ["sec-websocket-extensions", "a;"]), "extensions", 400],
    ["RFC 8441 4: the target is no path", { ...CONNECT, target: "*" }, "target", 400],
    ["RFC 8441 4: the target is empty", { ...CONNECT, target: "" }, "target", 400],
    ["no Upgrade by GET", without(GET, "upgrade"), "upgrade", 426],
    ["no key by GET", without(GET, "sec-websocket-key"), "key", 400],
    ["no Host by GET", without(GET, "host"), "host", 400],
  ])("refused: %s", (_name, data, rule, status) => {
    const connection = server();
    connection.receiveRequest(data, HI_FROM_CLIENT);
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("closing");
    expect(only(events, "closing")).toMatchObject({
      code: 1006,
      cause: { by: "peer", rule, offset: undefined },
    });
    const { response } = connection;
    expect(response?.status).toBe(status);
    expect(bodyOf(response)).toContain(RULES[rule].says);
    const headers = response?.headers ?? [];
    expect(headerValue(headers, "allow")).toBe(status === 405 ? "GET" : undefined);
    expect(headerValue(headers, "upgrade")).toBe(status === 426 ? "websocket" : undefined);
    expect(headerValue(headers, "sec-websocket-version")).toBe(
      status === 426 || rule === "version" ? "13" : undefined,
    );
    expect(headerValues(headers, "connection")).toEqual([]);
    expect(connection).toMatchObject({ state: "closing", outputSize: 0, transport: "end" });
    expect(connection.accept()).toBe(false);
    connection.receiveEnd();
    expect(typesOf(eventsOf(connection))).toBe("closed");
  });

  it.each<[name: string, data: RequestData]>([
    ["no :scheme", { ...CONNECT, scheme: undefined }],
    ["another :scheme", { ...CONNECT, scheme: "ftp" }],
    ["no :authority, and no Host", { ...CONNECT, authority: undefined }],
    ["a malformed :authority", { ...CONNECT, authority: "user@example.com" }],
    ["an empty :authority", { ...CONNECT, authority: "" }],
  ])("RFC 8441 4: an extended CONNECT has :scheme http(s) and :authority: %s", (_name, data) => {
    const connection = server();
    connection.receiveRequest(data);
    expect(typesOf(eventsOf(connection))).toBe("closing");
    expect(connection.response?.status).toBe(400);
  });

  it("no body to HEAD", () => {
    const connection = server();
    connection.receiveRequest({ ...GET, method: "HEAD" });
    expect(connection.response?.status).toBe(405);
    expect(bodyOf(connection.response)).toBe("");
  });

  it("the request's headers are those that it was given, whatever is in them", () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[\n:, a]*$/));
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text)), (more) => {
        const data = withHeaders(CONNECT, ...more.map(([name, value]) => [`x${name}`, value] as const));
        const connection = server();
        connection.receiveRequest(data);
        const { request } = only(eventsOf(connection), "request");
        expect(request.headers).toEqual(data.headers);
        expect(request.header("sec-websocket-version")).toBe("13");
      }),
    );
  });

  it("reject(): the body is in the response, and nothing in bytes", () => {
    for (const data of [GET, CONNECT]) {
      const connection = server();
      connection.receiveRequest(data);
      eventsOf(connection);
      expect(connection.reject({ status: 403, headers: { "X-Y": "z" }, body: "no" })).toBe(true);
      const { response } = connection;
      expect(response?.status).toBe(403);
      expect(response?.headers).toEqual([
        ["X-Y", "z"],
        ["Content-Type", "text/plain; charset=utf-8"],
      ]);
      expect(bodyOf(response)).toBe("no");
      expect(connection).toMatchObject({ state: "closing", outputSize: 0 });
      expect(typesOf(eventsOf(connection))).toBe("closing");
      expect(connection.accept()).toBe(false);
    }
  });

  it("RFC 9110 15.5.9: 408 in the response at the deadline", () => {
    const platform = testPlatform();
    const connection = new ServerConnection({ platform, http: "external" });
    platform.now = 11_000;
    connection.handleTimeout();
    expect(connection.response?.status).toBe(408);
    expect(typesOf(eventsOf(connection))).toBe("closing");
  });

  it("bytes before the request are held; they are frames", () => {
    const connection = server();
    connection.receive(HI_FROM_CLIENT.subarray(0, 2));
    expect(eventsOf(connection)).toEqual([]);
    connection.receiveRequest(CONNECT);
    connection.receive(HI_FROM_CLIENT.subarray(2, 4));
    expect(typesOf(eventsOf(connection))).toBe("request");
    connection.accept();
    connection.receive(HI_FROM_CLIENT.subarray(4));
    expect(typesOf(eventsOf(connection))).toBe("open text");
  });
});

function client(request: string | ClientRequest, options = {}): ClientConnection {
  return new ClientConnection(request, testOptions({ http: "external", ...options }));
}

describe("a client asks as data", () => {
  it("RFC 8441 5: an extended CONNECT: no Connection, Upgrade, Key or Host", () => {
    const connection = client({
      url: "wss://example.com:8443/chat?x",
      subprotocols: ["a", "b"],
      origin: "https://x",
      headers: { cookie: "c=d" },
    });
    expect(connection.request).toEqual({
      method: "CONNECT",
      protocol: "websocket",
      scheme: "https",
      authority: "example.com:8443",
      target: "/chat?x",
      headers: [
        ["Sec-WebSocket-Version", "13"],
        ["Origin", "https://x"],
        ["Sec-WebSocket-Protocol", "a, b"],
        ["cookie", "c=d"],
      ],
    });
    expect(connection).toMatchObject({ outputSize: 0, state: "connecting" });
    expect(connection.takeOutput()).toBeUndefined();
  });

  it.each([
    ["ws://h/", "http", "h"],
    ["wss://h/", "https", "h"],
    ["http://h:80/", "http", "h"],
    ["https://h:443/", "https", "h"],
    ["ws://h:443/", "http", "h:443"],
    ["ws://[::1]/", "http", "[::1]"],
  ])("RFC 8441 5: the :scheme and :authority of %s", (url, scheme, authority) => {
    expect(client(url).request).toMatchObject({ scheme, authority, target: "/" });
  });

  it("a GET of HTTP/1.1", () => {
    const connection = client({ url: "ws://example.com/chat", method: "GET" });
    const key = headerValue(connection.request.headers, "sec-websocket-key");
    expect(key).toHaveLength(24);
    expect(connection.request).toEqual({
      method: "GET",
      target: "/chat",
      authority: "example.com",
      headers: [
        ["Host", "example.com"],
        ["Upgrade", "websocket"],
        ["Connection", "Upgrade"],
        ["Sec-WebSocket-Key", key],
        ["Sec-WebSocket-Version", "13"],
      ],
    });
    expect(connection.outputSize).toBe(0);
  });

  it.each([true, false])("a rejection says whether its body is complete: %s", (complete) => {
    const connection = client("ws://h/");
    connection.receiveResponse({ status: 401, headers: [], body: Uint8Array.of(1) }, complete);
    expect(only(eventsOf(connection), "rejected")).toMatchObject({ body: Uint8Array.of(1), complete });
  });

  const asGet: ClientRequest = { url: "ws://h/", method: "GET", subprotocols: ["a"] };
  const asConnect: ClientRequest = { url: "ws://h/", subprotocols: ["a"] };
  const good = (connection: ClientConnection): HeaderList => [
    ["upgrade", "websocket"],
    ["connection", "upgrade"],
    ["sec-websocket-accept", acceptFor(headerValue(connection.request.headers, "sec-websocket-key") ?? "")],
  ];

  it.each<
    [
      name: string,
      request: ClientRequest,
      response: (connection: ClientConnection) => ResponseData,
      outcome: string,
    ]
  >([
    ["GET: 101", asGet, (connection) => ({ status: 101, headers: good(connection) }), "open"],
    [
      "GET: 101 without Accept",
      asGet,
      (c) => ({ status: 101, headers: good(c).slice(0, 2) }),
      "response-accept",
    ],
    [
      "GET: 101 without Upgrade",
      asGet,
      (c) => ({ status: 101, headers: good(c).slice(1) }),
      "response-upgrade",
    ],
    ["GET: 200 does not open", asGet, (c) => ({ status: 200, headers: good(c) }), "rejected"],
    ["RFC 8441 5: CONNECT: 200", asConnect, () => ({ status: 200, headers: [] }), "open"],
    [
      "RFC 8441 5: CONNECT: 200 with a subprotocol",
      asConnect,
      () => ({ status: 200, headers: [["sec-websocket-protocol", "a"]] }),
      "open",
    ],
    [
      "RFC 8441 5: CONNECT: a subprotocol that was not offered",
      asConnect,
      () => ({ status: 200, headers: [["sec-websocket-protocol", "b"]] }),
      "response-subprotocol",
    ],
    [
      "RFC 8441 5: CONNECT: an extension that was not offered",
      asConnect,
      () => ({ status: 200, headers: [["sec-websocket-extensions", "foo"]] }),
      "response-extension",
    ],
    ["RFC 8441 5: CONNECT: 101 does not open", asConnect, () => ({ status: 101, headers: [] }), "rejected"],
    ["RFC 8441 5: CONNECT: 201 does not open", asConnect, () => ({ status: 201, headers: [] }), "rejected"],
    ["RFC 8441 5: CONNECT: 204 does not open", asConnect, () => ({ status: 204, headers: [] }), "rejected"],
    [
      "RFC 8441 5: CONNECT: 302",
      asConnect,
      () => ({ status: 302, headers: [["location", "/"]] }),
      "rejected",
    ],
    ["RFC 8441 5: CONNECT: 501", asConnect, () => ({ status: 501, headers: [] }), "rejected"],
  ])("the response: %s", (_name, request, response, outcome) => {
    const connection = client(request);
    connection.receive(HI_FROM_SERVER);
    expect(eventsOf(connection)).toEqual([]);
    const data = response(connection);
    connection.receiveResponse(data);
    const events = eventsOf(connection);
    if (outcome === "open") {
      expect(typesOf(events)).toBe("open text");
      const picked = headerValue(data.headers, "sec-websocket-protocol");
      expect(only(events, "open")).toMatchObject({ subprotocol: picked, headers: data.headers });
      expect(() => connection.receiveResponse(data)).toThrow(expect.objectContaining({ code: "bad-state" }));
      return;
    }
    connection.receiveResponse(data); // too late: nothing
    connection.receiveEnd();
    events.push(...eventsOf(connection));
    if (outcome === "rejected") {
      expect(typesOf(events)).toBe("rejected closed");
      expect(only(events, "rejected")).toMatchObject({ status: data.status, reason: "", complete: true });
      expect(only(events, "rejected").headers).toEqual(data.headers);
    } else {
      expect(typesOf(events)).toBe("closing closed");
      expect(only(events, "closing")).toMatchObject({
        code: 1006,
        cause: { rule: outcome, offset: undefined },
      });
    }
    expect(only(events, "closed").cause.rule).toBe(outcome);
  });

  it.each([100, 103, 199])("RFC 9110 15.2: an interim response is skipped: %i", (status) => {
    for (const [request, final] of [
      [asGet, 101],
      [asConnect, 200],
    ] as const) {
      const connection = client(request);
      connection.receiveResponse({ status, headers: [["link", "</x>"]] });
      expect(eventsOf(connection)).toEqual([]);
      expect(connection.state).toBe("connecting");
      connection.receiveResponse({ status: final, headers: final === 101 ? good(connection) : [] });
      expect(typesOf(eventsOf(connection))).toBe("open");
    }
  });

  it("a rejection's body and reason are handed on", () => {
    const connection = client("ws://h/");
    connection.receiveResponse({ status: 403, headers: [], reason: "No", body: Uint8Array.of(1, 2) });
    expect(only(eventsOf(connection), "rejected")).toMatchObject({
      status: 403,
      reason: "No",
      body: Uint8Array.of(1, 2),
    });
  });

  it("RFC 8441 5: a reset is 1006", () => {
    const connection = client("ws://h/");
    connection.receiveResponse({ status: 200, headers: [] });
    connection.transportLost(new Error("RST_STREAM"));
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("open closed");
    expect(only(events, "closed")).toMatchObject({
      code: 1006,
      clean: false,
      cause: { rule: "transport-lost" },
    });
  });

  it("without a response until the deadline", () => {
    const platform = testPlatform();
    const connection = new ClientConnection("ws://h/", { platform, http: "external" });
    expect(connection.deadline).toBe(11_000);
    platform.now = 11_000;
    connection.handleTimeout();
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("closed");
    expect(only(events, "closed").cause.rule).toBe("handshake-timeout");
    connection.receiveResponse({ status: 200, headers: [] });
    expect(eventsOf(connection)).toEqual([]);
  });
});

describe("a client and a server, wired together through data", () => {
  it.each<[name: string, request: ClientRequest, status: number]>([
    ["GET", { url: "wss://example.com/a?b", method: "GET", subprotocols: ["x", "y"] }, 101],
    ["extended CONNECT", { url: "wss://example.com/a?b", method: "CONNECT", subprotocols: ["x", "y"] }, 200],
  ])("%s: accepted, messages, END_STREAM", (_name, request, status) => {
    const asking = client(request);
    const answering = server();
    answering.receiveRequest(asking.request);
    const asked = only(eventsOf(answering), "request").request;
    expect(asked).toMatchObject({
      path: "/a",
      query: "b",
      authority: "example.com",
      subprotocols: ["x", "y"],
    });
    answering.accept({ subprotocol: "y" });
    const { response } = answering;
    if (response === undefined) throw new Error("no response");
    expect(response.status).toBe(status);
    asking.receiveResponse(response);
    expect(only(eventsOf(asking), "open").subprotocol).toBe("y");
    expect(only(eventsOf(answering), "open").subprotocol).toBe("y");

    // RFC 8441 5: the client still masks.
    asking.sendText("hello");
    const sent = asking.takeOutput() ?? [];
    expect((sent[0]?.[1] ?? 0) & 0x80).toBe(0x80);
    for (const chunk of sent) answering.receive(chunk);
    expect(only(eventsOf(answering), "text").text).toBe("hello");

    asking.close(1000, "bye");
    for (const chunk of asking.takeOutput() ?? []) answering.receive(chunk);
    expect(only(eventsOf(answering), "closing")).toMatchObject({ code: 1000, reason: "bye" });
    for (const chunk of answering.takeOutput() ?? []) asking.receive(chunk);
    asking.receiveEnd();
    answering.receiveEnd();
    expect(only(eventsOf(asking), "closed")).toMatchObject({ code: 1000, clean: true });
    expect(only(eventsOf(answering), "closed")).toMatchObject({ code: 1000, clean: true });
  });

  it.each(["GET", "CONNECT"] as const)("%s: rejected", (method) => {
    const asking = client({ url: "ws://example.com/", method });
    const answering = server();
    answering.receiveRequest(asking.request);
    eventsOf(answering);
    answering.reject({ status: 401, headers: { "www-authenticate": "Basic" }, body: "who?" });
    if (answering.response === undefined) throw new Error("no response");
    asking.receiveResponse(answering.response);
    const rejected = only(eventsOf(asking), "rejected");
    expect(rejected.status).toBe(401);
    expect(latin1Text([rejected.body])).toBe("who?");
    expect(headerValue(rejected.headers, "www-authenticate")).toBe("Basic");
  });
});
