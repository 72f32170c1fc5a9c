import { describe, expect, it } from "vitest";
import type { ClientRequest, HeaderList, RuleName } from "../../../src/index.js";
import { ClientConnection, headerValue, RULES } from "../../../src/index.js";
import { isKey } from "../../../src/handshake/key.js";
import {
  DELIVERIES,
  eventsOf,
  head,
  HI_FROM_SERVER,
  joined,
  latin1Bytes,
  latin1Text,
  letTimePass,
  only,
  parseWritten,
  SAMPLE_ACCEPT,
  testOptions,
  testPlatform,
  typesOf,
  upgradeResponse,
} from "../../support/http.js";

const URL = "ws://example.com/chat";

function client(request: string | ClientRequest = URL, options = {}): ClientConnection {
  const connection = new ClientConnection(request, testOptions(options));
  connection.takeOutput();
  return connection;
}

function keyOf(connection: ClientConnection): string {
  const key = headerValue(connection.request.headers, "sec-websocket-key");
  if (key === undefined) throw new Error("no key");
  return key;
}

describe("the request (RFC 6455 4.1)", () => {
  // Entropy of zeros makes the key.
  const platform = { random: () => 0 };
  const KEY = "AAAAAAAAAAAAAAAAAAAAAA==";
  const request = (line: string, host: string, ...more: readonly string[]): string =>
    head(
      line,
      `Host: ${host}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Key: ${KEY}`,
      "Sec-WebSocket-Version: 13",
      ...more,
    );

  it.each<[name: string, given: string | ClientRequest, written: string]>([
    ["a URL alone", "ws://example.com/chat", request("GET /chat HTTP/1.1", "example.com")],
    ["RFC 6455 3: no path", "ws://example.com", request("GET / HTTP/1.1", "example.com")],
    ["RFC 6455 3: a query without a path", "ws://h?x", request("GET /?x HTTP/1.1", "h")],
    ["path and query", "wss://h/a%20b?c=d", request("GET /a%20b?c=d HTTP/1.1", "h")],
    ["RFC 6455 4.1: ws's default port is left out", "ws://h:80/", request("GET / HTTP/1.1", "h")],
    ["RFC 6455 4.1: wss's default port is left out", "wss://h:443/", request("GET / HTTP/1.1", "h")],
    ["RFC 6455 4.1: another port is not", "ws://h:443/", request("GET / HTTP/1.1", "h:443")],
    ["IPv6 in brackets", "ws://[::1]:9000/", request("GET / HTTP/1.1", "[::1]:9000")],
    ["IPv6 with the default port", "wss://[2001:db8::1]:443/", request("GET / HTTP/1.1", "[2001:db8::1]")],
    ["the host in small letters", "WS://EXAMPLE.Com/X", request("GET /X HTTP/1.1", "example.com")],
    [
      "subprotocols, origin, headers",
      {
        url: URL,
        subprotocols: ["chat", "v2.chat"],
        origin: "https://example.com",
        headers: { Authorization: "Basic eDp5", Cookie: ["a=1", "b=2"], "X-No": undefined },
      },
      request(
        "GET /chat HTTP/1.1",
        "example.com",
        "Origin: https://example.com",
        "Sec-WebSocket-Protocol: chat, v2.chat",
        "Authorization: Basic eDp5",
        "Cookie: a=1",
        "Cookie: b=2",
      ),
    ],
    [
      "headers as a list, Latin-1 in a value",
      {
        url: URL,
        headers: [
          ["B", "caf\u00e9"],
          ["A", ""],
        ],
      },
      request("GET /chat HTTP/1.1", "example.com", "B: caf\u00e9", "A: "),
    ],
    [
      "no subprotocols, none of anything",
      { url: URL, subprotocols: [], headers: {}, origin: undefined, method: undefined },
      request("GET /chat HTTP/1.1", "example.com"),
    ],
  ])("the bytes: %s", (_name, given, written) => {
    const connection = new ClientConnection(given, { platform });
    expect(connection).toMatchObject({ state: "connecting", transport: "keep", wantsInput: true });
    expect(connection.outputSize).toBe(written.length);
    expect(latin1Text(connection.takeOutput())).toBe(written);
    const { startLine, headers } = parseWritten(written);
    expect(`${connection.request.method} ${connection.request.target} HTTP/1.1`).toBe(startLine);
    expect(connection.request.headers).toEqual(headers);
    expect(connection.takeOutput()).toBeUndefined();
    expect(eventsOf(connection)).toEqual([]);
  });

  it("has a key of its own each time", () => {
    const shared = testPlatform();
    const keys = Array.from({ length: 50 }, () => keyOf(new ClientConnection(URL, { platform: shared })));
    expect(new Set(keys).size).toBe(50);
    expect(keys.every(isKey)).toBe(true);
  });

  it("is the same for the same entropy", () => {
    const bytes = (): string =>
      latin1Text(new ClientConnection(URL, { platform: testPlatform() }).takeOutput());
    expect(bytes()).toBe(bytes());
  });
});

const ACCEPT = "Sec-WebSocket-Accept";
const EXTENSIONS = "Sec-WebSocket-Extensions";
const PROTOCOL = "Sec-WebSocket-Protocol";
type Changes = Parameters<typeof upgradeResponse>[1];
type Rest = Parameters<typeof upgradeResponse>[2];

describe("responses that open the connection", () => {
  const rows: readonly [
    name: string,
    changes: Changes,
    rest?: Rest,
    before?: string,
    check?: (headers: HeaderList) => void,
  ][] = [
    ["the least that is needed", {}],
    ["RFC 6455 4.1: tokens in any case", { Upgrade: "WebSOCKET", Connection: "upGRADE" }],
    ["Connection lists more", { Connection: "keep-alive, Upgrade" }],
    ["RFC 9110 5.3: Connection in two fields", { Connection: ["keep-alive", "Upgrade"] }],
    ["RFC 6455 4.2.2: Accept with white space around", {}, {}],
    ["an empty reason phrase", {}, { line: "HTTP/1.1 101 " }],
    ["an empty reason phrase, its space missing", {}, { line: "HTTP/1.1 101" }],
    ["a reason phrase with obs-text", {}, { line: "HTTP/1.1 101 caf\u00e9 \u0080" }],
    [
      "a reason phrase with many words and a tab",
      {},
      { line: "HTTP/1.1 101 Web Socket\tProtocol Handshake" },
    ],
    ["RFC 9110 2.5: HTTP/1.2", {}, { line: "HTTP/1.2 101 x" }],
    ["RFC 9110 8.6: Content-Length is ignored", { "Content-Length": "5" }],
    ["RFC 9112 6.1: Transfer-Encoding is ignored", { "Transfer-Encoding": "chunked" }],
    [
      "obs-text in a header, as Latin-1",
      { Server: "caf\u00e9" },
      {},
      "",
      (headers) => {
        expect(headerValue(headers, "server")).toBe("caf\u00e9");
      },
    ],
    ["cookies in several fields", { "Set-Cookie": ["a=1", "b=2"] }],
    ["RFC 9110 15.2: after 100", {}, {}, head("HTTP/1.1 100 Continue")],
    ["RFC 9110 15.2: after 103", {}, {}, head("HTTP/1.1 103 Early Hints", "Link: </x>")],
    ["RFC 9110 15.2: after 100 and 103", {}, {}, head("HTTP/1.1 100") + head("HTTP/1.1 103 ")],
    ["RFC 9110 15.2: after eight, the limit", {}, {}, head("HTTP/1.1 199 x").repeat(8)],
    ["RFC 9112 2.2: after an empty line", {}, {}, "\r\n"],
    ["an empty Extensions field", { [EXTENSIONS]: "" }],
    ["Extensions of empty elements", { [EXTENSIONS]: ", ,\t," }],
  ];

  describe.each(DELIVERIES)("%s", (_delivery, deliver) => {
    it.each(rows)("%s", (_name, changes, rest = {}, before = "", check) => {
      const connection = client();
      const response = upgradeResponse(keyOf(connection), changes, rest);
      const events = deliver(connection, latin1Bytes(before + response));
      expect(typesOf(events)).toBe("open");
      const { headers, ...open } = only(events, "open");
      expect(open).toEqual({ type: "open", subprotocol: undefined, extensions: [] });
      expect(headers).toEqual(parseWritten(response).headers);
      check?.(headers ?? []);
      expect(connection).toMatchObject({ state: "open", transport: "keep", outputSize: 0 });
      expect(connection.sendText("x")).toBe(true);
    });

    it.each(rows)("bytes past the head become frames: %s", (_name, changes, rest = {}, before = "") => {
      const connection = client();
      const response = upgradeResponse(keyOf(connection), changes, rest);
      const events = deliver(connection, joined(before + response, HI_FROM_SERVER, HI_FROM_SERVER));
      expect(typesOf(events)).toBe("open text text");
    });
  });

  it("Accept after trimming, and the sample of RFC 6455 1.3", () => {
    const words = [0x20656874, 0x706d6173, 0x6e20656c, 0x65636e6f]; // "the sample nonce"
    const connection = new ClientConnection(URL, { platform: { random: () => words.shift() ?? 0 } });
    expect(keyOf(connection)).toBe("dGhlIHNhbXBsZSBub25jZQ==");
    connection.receive(
      latin1Bytes(
        head(
          "HTTP/1.1 101 Switching Protocols",
          "upgrade:\twebsocket ",
          "CONNECTION:Upgrade",
          `sec-websocket-accept:  \t${SAMPLE_ACCEPT}\t `,
        ),
      ),
    );
    expect(typesOf(eventsOf(connection))).toBe("open");
  });

  it.each([
    ["the first", "a"],
    ["another", "B"],
  ])("the subprotocol picked: %s", (_name, subprotocol) => {
    const connection = client({ url: URL, subprotocols: ["a", "B"] });
    connection.receive(latin1Bytes(upgradeResponse(keyOf(connection), { [PROTOCOL]: ` ${subprotocol} ` })));
    expect(only(eventsOf(connection), "open").subprotocol).toBe(subprotocol);
  });

  it("none of the subprotocols offered", () => {
    const connection = client({ url: URL, subprotocols: ["a", "B"] });
    connection.receive(latin1Bytes(upgradeResponse(keyOf(connection))));
    expect(only(eventsOf(connection), "open").subprotocol).toBeUndefined();
  });

  it("the end right after the head: what came before it is still told", () => {
    const connection = client();
    connection.receive(joined(upgradeResponse(keyOf(connection)), HI_FROM_SERVER));
    connection.receiveEnd();
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("open text closed");
    expect(only(events, "closed").cause).toMatchObject({ by: "peer", rule: "no-close" });
  });

  it("a reset right after the head: what came before it is still told", () => {
    const connection = client();
    connection.receive(joined(upgradeResponse(keyOf(connection)), HI_FROM_SERVER));
    connection.transportLost();
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("open text closed");
    expect(only(events, "closed").cause).toMatchObject({ by: "transport", rule: "transport-lost" });
  });
});

describe("responses that fail the connection", () => {
  interface Failing {
    readonly rule: RuleName;
    /** The response, for a key. */
    readonly bytes: (key: string) => string;
    readonly request?: ClientRequest;
  }
  const failing = (rule: RuleName, changes: Changes, rest?: Rest, request?: ClientRequest): Failing => ({
    rule,
    bytes: (key) => upgradeResponse(key, changes, rest),
    ...(request === undefined ? {} : { request }),
  });
  const atOnce = (rule: RuleName, bytes: string): Failing => ({ rule, bytes: () => bytes });
  const OK = "HTTP/1.1 101 OK";
  const OFFERS: ClientRequest = { url: URL, subprotocols: ["a", "b"] };

  const rows: readonly [name: string, row: Failing][] = [
    // The status line
    ["RFC 9112 4: no HTTP", atOnce("bad-status-line", "SSH-2.0-OpenSSH\r\n")],
    ["RFC 9112 4: a version alone", atOnce("bad-status-line", "HTTP/1.1\r\n")],
    ["RFC 9112 4: two digits", atOnce("bad-status-line", "HTTP/1.1 99\r\n")],
    ["RFC 9112 4: four digits", atOnce("bad-status-line", "HTTP/1.1 1010 x\r\n")],
    ["RFC 9110 15: the status 099", atOnce("bad-status-line", "HTTP/1.1 099 x\r\n")],
    ["RFC 9112 4: two spaces", atOnce("bad-status-line", "HTTP/1.1  101 x\r\n")],
    ["RFC 9112 4: a tab", atOnce("bad-status-line", "HTTP/1.1\t101 x\r\n")],
    ["RFC 9112 4: a letter after the status", atOnce("bad-status-line", "HTTP/1.1 101x\r\n")],
    ["RFC 9112 4: the version in small letters", atOnce("bad-status-line", "http/1.1 101 x\r\n")],
    ["RFC 9112 2.3: a version with two digits", atOnce("bad-status-line", "HTTP/1.10 101 x\r\n")],
    ["RFC 9112 4: a space before", atOnce("bad-status-line", " HTTP/1.1 101 x\r\n")],
    ["RFC 9112 4: NUL in the reason phrase", atOnce("bad-status-line", "HTTP/1.1 101 \0")],
    ["RFC 9112 4: DEL in the reason phrase", atOnce("bad-status-line", "HTTP/1.1 101 a\x7f")],
    ["RFC 9110 2.5: HTTP/2.0", atOnce("http-version", "HTTP/2.0 101 x\r\n")],
    ["a WebSocket frame", atOnce("bad-status-line", "\x81\x02")],
    ["RFC 9110 7.8: a 101 in HTTP/1.0", failing("response-status", {}, { line: "HTTP/1.0 101 OK" })],
    [
      "RFC 9110 15.2: nine informational responses",
      atOnce("response-status", head("HTTP/1.1 100 x").repeat(9)),
    ],
    // Lines
    ["RFC 9112 2.2: a bare LF after the status line", atOnce("bad-line-end", `${OK}\n`)],
    ["RFC 9112 2.2: a bare LF after a header", atOnce("bad-line-end", `${OK}\r\nA: b\n`)],
    ["RFC 9112 2.2: a bare LF at the end", atOnce("bad-line-end", `${OK}\r\nA: b\r\n\n`)],
    ["RFC 9112 2.2: a bare CR", atOnce("bad-line-end", `${OK}\r\nA: b\rc`)],
    ["RFC 9112 5.2: a folded line", atOnce("bad-header-line", `${OK}\r\nA: b\r\n c\r\n`)],
    ["RFC 9112 5.1: a space before the colon", atOnce("bad-header-line", `${OK}\r\nA : b\r\n`)],
    ["RFC 9110 5.5: NUL in a value", atOnce("bad-header-line", `${OK}\r\nA: \0`)],
    ["RFC 9112 5: no colon", atOnce("bad-header-line", `${OK}\r\nA\r\n`)],
    // Upgrade
    ["RFC 6455 4.1: no Upgrade", failing("response-upgrade", { Upgrade: undefined })],
    ["RFC 6455 4.1: another Upgrade", failing("response-upgrade", { Upgrade: "h2c" })],
    ["RFC 6455 4.1: Upgrade is not a list", failing("response-upgrade", { Upgrade: "websocket, h2c" })],
    ["RFC 6455 4.1: an empty element in Upgrade", failing("response-upgrade", { Upgrade: "websocket," })],
    ["RFC 6455 4.1: Upgrade with a version", failing("response-upgrade", { Upgrade: "websocket/13" })],
    ["RFC 6455 4.1: a no-break space", failing("response-upgrade", { Upgrade: "websocket\u00a0" })],
    ["RFC 6455 4.1: Upgrade twice", failing("response-upgrade", { Upgrade: ["websocket", "websocket"] })],
    // Connection
    ["RFC 6455 4.1: no Connection", failing("response-connection", { Connection: undefined })],
    ["RFC 6455 4.1: another Connection", failing("response-connection", { Connection: "close" })],
    ["RFC 6455 4.1: part of a token", failing("response-connection", { Connection: "Upgrade-x" })],
    ["RFC 9110 5.6.3: a no-break space", failing("response-connection", { Connection: "\u00a0Upgrade" })],
    // Accept
    ["RFC 6455 4.1: no Accept", failing("response-accept", { [ACCEPT]: undefined })],
    ["RFC 6455 4.1: an empty Accept", failing("response-accept", { [ACCEPT]: "" })],
    ["RFC 6455 4.1: the Accept of another key", failing("response-accept", { [ACCEPT]: SAMPLE_ACCEPT })],
    [
      "RFC 6455 4.1: the key itself",
      { rule: "response-accept", bytes: (key) => upgradeResponse(key, { [ACCEPT]: key }) },
    ],
    [
      "RFC 6455 4.1: Accept in another case",
      {
        rule: "response-accept",
        bytes: (key) =>
          upgradeResponse(key).replace(/(?<=Accept: )\S+/, (value) =>
            value.toLowerCase() === value ? value.toUpperCase() : value.toLowerCase(),
          ),
      },
    ],
    [
      "RFC 6455 4.1: Accept without its padding",
      { rule: "response-accept", bytes: (key) => upgradeResponse(key).replace(/=(?=\r\n)/, "") },
    ],
    [
      "RFC 6455 11.3.3: Accept twice",
      { rule: "response-accept", bytes: (key) => upgradeResponse(key).replace(/Sec-.*\r\n/, "$&$&") },
    ],
    // Extensions
    [
      "RFC 6455 4.1: an extension although none was offered",
      failing("response-extension", { [EXTENSIONS]: "foo" }),
    ],
    [
      "RFC 6455 4.1: permessage-deflate although none was offered",
      failing("response-extension", { [EXTENSIONS]: "permessage-deflate" }),
    ],
    ["RFC 6455 9.1: malformed extensions", failing("response-extension", { [EXTENSIONS]: "foo;" })],
    ["erratum 3433: in the second field", failing("response-extension", { [EXTENSIONS]: ["", "foo"] })],
    // Subprotocol
    [
      "RFC 6455 4.1: a subprotocol although none was offered",
      failing("response-subprotocol", { [PROTOCOL]: "a" }),
    ],
    ["RFC 6455 4.1: an empty subprotocol", failing("response-subprotocol", { [PROTOCOL]: "" })],
    ["RFC 6455 4.1: another subprotocol", failing("response-subprotocol", { [PROTOCOL]: "c" }, {}, OFFERS)],
    ["RFC 6455 4.1: in another case", failing("response-subprotocol", { [PROTOCOL]: "A" }, {}, OFFERS)],
    ["RFC 6455 4.1: two subprotocols", failing("response-subprotocol", { [PROTOCOL]: "a, b" }, {}, OFFERS)],
    [
      "RFC 6455 4.1: an empty one of those offered",
      failing("response-subprotocol", { [PROTOCOL]: "" }, {}, OFFERS),
    ],
    ["RFC 6455 11.3.4: the field twice", failing("doubled-header", { [PROTOCOL]: ["a", "a"] }, {}, OFFERS)],
  ];

  describe.each(DELIVERIES)("%s", (_delivery, deliver) => {
    it.each(rows)("%s", (_name, { rule, bytes, request }) => {
      const connection = client(request);
      const response = bytes(keyOf(connection));
      const good = upgradeResponse(keyOf(connection));
      const events = deliver(connection, joined(response, good, HI_FROM_SERVER));
      expect(typesOf(events)).toBe("closing");
      const closing = only(events, "closing");
      // No status was received and none can be sent: the connection fails locally.
      expect(closing).toMatchObject({ code: 1006, reason: RULES[rule].says });
      expect(closing.cause).toMatchObject({ by: "peer", rule, section: RULES[rule].section });
      expect(closing.cause.offset).toBe(response.length - 1);
      expect(connection).toMatchObject({ state: "closing", transport: "end", outputSize: 0 });
      expect(connection.sendText("x")).toBe(false);
      expect(connection.close(1000)).toBe(false);
      expect(connection.outputSize).toBe(0);
      connection.receiveEnd();
      const last = eventsOf(connection);
      expect(typesOf(last)).toBe("closed");
      expect(only(last, "closed")).toMatchObject({ code: 1006, clean: false, sent: undefined });
      expect(only(last, "closed").cause).toEqual(closing.cause);
      expect(connection.state).toBe("closed");
    });

    it.each<[name: string, limits: object, rule: RuleName, bytes: string, offset: number]>([
      ["the status line", { head: 20 }, "start-line-limit", "HTTP/1.1 101 Switching Protocols\r\n", 20],
      ["the head", { head: 40 }, "head-limit", `HTTP/1.1 101 x\r\nA: ${"y".repeat(50)}`, 40],
      ["header fields", { headers: 1 }, "header-count", "HTTP/1.1 101 x\r\nA: b\r\nC: d\r\n", 27],
      ["no informational response", { informational: 0 }, "response-status", head("HTTP/1.1 100 x"), 17],
    ])("over a limit: %s", (_name, limits, rule, bytes, offset) => {
      const connection = client(URL, { limits });
      const events = deliver(connection, latin1Bytes(bytes));
      expect(typesOf(events)).toBe("closing");
      expect(only(events, "closing")).toMatchObject({ code: 1006, cause: { by: "peer", rule, offset } });
    });

    it("each informational response has a head of its own to the limits", () => {
      const connection = client(URL, { limits: { head: 180, headers: 3 } });
      const informational = head("HTTP/1.1 103 x", `Link: ${"y".repeat(100)}`, "A: b", "C: d");
      const response = upgradeResponse(keyOf(connection));
      const events = deliver(connection, latin1Bytes(informational.repeat(8) + response));
      expect(typesOf(events)).toBe("open");
    });
  });
});

describe("rejections (RFC 6455 4.1)", () => {
  interface Row {
    readonly bytes: string;
    readonly status: number;
    readonly body: string;
    /** Whether the body is over without the end of the stream. */
    readonly byItself: boolean;
    readonly complete?: boolean;
    readonly reason?: string;
    readonly limit?: number;
  }
  const NOT_FOUND = "HTTP/1.1 404 Not Found";
  const CHUNKED = "Transfer-Encoding: chunked";
  const counted = (length: number | string, body: string): string =>
    head(NOT_FOUND, `Content-Length: ${length}`) + body;
  const chunked = (body: string, ...more: readonly string[]): string =>
    head(NOT_FOUND, CHUNKED, ...more) + body;

  const rows: readonly [name: string, row: Row][] = [
    ["by length", { bytes: counted(5, "hello"), status: 404, body: "hello", byItself: true }],
    ["by length 0", { bytes: counted(0, ""), status: 404, body: "", byItself: true }],
    [
      "by the end of the stream",
      { bytes: head(NOT_FOUND) + "hello", status: 404, body: "hello", byItself: false },
    ],
    ["no body, then the end", { bytes: head(NOT_FOUND), status: 404, body: "", byItself: false }],
    [
      "204 has none",
      { bytes: head("HTTP/1.1 204 x", "Content-Length: 5"), status: 204, body: "", byItself: true },
    ],
    ["304 has none", { bytes: head("HTTP/1.1 304 x", CHUNKED), status: 304, body: "", byItself: true }],
    [
      "chunked",
      { bytes: chunked("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"), status: 404, body: "hello!", byItself: true },
    ],
    ["chunked: nothing", { bytes: chunked("0\r\n\r\n"), status: 404, body: "", byItself: true }],
    [
      "chunked: sizes in any case, leading zeros, extensions",
      {
        bytes: chunked(`00A;x="y"\r\n0123456789\r\na \t;z\r\n0123456789\r\n000\r\n\r\n`),
        status: 404,
        body: "01234567890123456789",
        byItself: true,
      },
    ],
    [
      "chunked: CR LF inside the data",
      { bytes: chunked("4\r\n\r\n\r\n\r\n0\r\n\r\n"), status: 404, body: "\r\n\r\n", byItself: true },
    ],
    [
      "chunked: trailers",
      { bytes: chunked("1\r\na\r\n0\r\nX: y\r\nZ: 0\r\n\r\n"), status: 404, body: "a", byItself: true },
    ],
    [
      "chunked wins over a length",
      {
        bytes: chunked("2\r\nab\r\n0\r\n\r\n", "Content-Length: 1"),
        status: 404,
        body: "ab",
        byItself: true,
      },
    ],
    [
      "chunked is the last of two codings",
      {
        bytes: head(NOT_FOUND, "Transfer-Encoding: gzip,\t CHUNKED") + "2\r\nab\r\n0\r\n\r\n",
        status: 404,
        body: "ab",
        byItself: true,
      },
    ],
    [
      "chunked in a second field",
      {
        bytes: head(NOT_FOUND, "Transfer-Encoding: gzip", CHUNKED) + "2\r\nab\r\n0\r\n\r\n",
        status: 404,
        body: "ab",
        byItself: true,
      },
    ],
    [
      "RFC 9112 6.3: chunked is not the last coding: by the end",
      {
        bytes: head(NOT_FOUND, "Transfer-Encoding: chunked, gzip") + "2\r\nab",
        status: 404,
        body: "2\r\nab",
        byItself: false,
      },
    ],
    [
      "a coding that ends alike",
      {
        bytes: head(NOT_FOUND, "Transfer-Encoding: xchunked") + "ab",
        status: 404,
        body: "ab",
        byItself: false,
      },
    ],
    [
      "chunked: cut inside a chunk",
      { bytes: chunked("5\r\nhel"), status: 404, body: "hel", byItself: false, complete: false },
    ],
    [
      "chunked: cut before the last chunk",
      { bytes: chunked("5\r\nhello\r\n"), status: 404, body: "hello", byItself: false, complete: false },
    ],
    [
      "chunked: cut inside the trailer",
      { bytes: chunked("1\r\na\r\n0\r\nX: y\r\n"), status: 404, body: "a", byItself: false, complete: false },
    ],
    [
      "by length: cut",
      { bytes: counted(6, "hello"), status: 404, body: "hello", byItself: false, complete: false },
    ],
    [
      "by length: a huge one, cut",
      { bytes: counted("999999999999999", "hi"), status: 404, body: "hi", byItself: false, complete: false },
    ],
    [
      "chunked: a size that is none",
      { bytes: chunked("1\r\na\r\nx\r\n"), status: 404, body: "a", byItself: true, complete: false },
    ],
    [
      "chunked: an empty size",
      { bytes: chunked("\r\n"), status: 404, body: "", byItself: true, complete: false },
    ],
    [
      "chunked: a negative size",
      { bytes: chunked("-1\r\n"), status: 404, body: "", byItself: true, complete: false },
    ],
    [
      "chunked: a size of 13 digits",
      { bytes: chunked("1000000000000\r\n"), status: 404, body: "", byItself: true, complete: false },
    ],
    [
      "chunked: more than the size says",
      { bytes: chunked("1\r\nab\r\n"), status: 404, body: "a", byItself: true, complete: false },
    ],
    [
      "chunked: a bare CR in a size",
      { bytes: chunked("1\r0\r\n"), status: 404, body: "", byItself: true, complete: false },
    ],
    [
      "chunked: a bare CR before a line's end",
      { bytes: chunked("1\r\r\n"), status: 404, body: "", byItself: true, complete: false },
    ],
    [
      "chunked: a bare CR after the data",
      { bytes: chunked("1\r\na\r\r\n"), status: 404, body: "a", byItself: true, complete: false },
    ],
    [
      "chunked: a bare LF after a size",
      { bytes: chunked("1\na\r\n"), status: 404, body: "", byItself: true, complete: false },
    ],
    [
      "chunked: endless trailers",
      {
        bytes: chunked("0\r\n" + "X: y\r\n".repeat(700)),
        status: 404,
        body: "",
        byItself: true,
        complete: false,
      },
    ],
    [
      "chunked: an endless line",
      { bytes: chunked("1;" + "x".repeat(4095)), status: 404, body: "", byItself: true, complete: false },
    ],
    [
      "by length: at the limit",
      { bytes: counted(5, "hello"), status: 404, body: "hello", byItself: true, limit: 5 },
    ],
    [
      "by length: one more",
      { bytes: counted(5, "hello"), status: 404, body: "hell", byItself: true, complete: false, limit: 4 },
    ],
    [
      "by the end: at the limit",
      { bytes: head(NOT_FOUND) + "hello", status: 404, body: "hello", byItself: false, limit: 5 },
    ],
    [
      "by the end: one more",
      {
        bytes: head(NOT_FOUND) + "hello",
        status: 404,
        body: "hell",
        byItself: true,
        complete: false,
        limit: 4,
      },
    ],
    [
      "chunked: at the limit",
      { bytes: chunked("5\r\nhello\r\n0\r\n\r\n"), status: 404, body: "hello", byItself: true, limit: 5 },
    ],
    [
      "chunked: one more",
      {
        bytes: chunked("3\r\nhel\r\n2\r\nlo"),
        status: 404,
        body: "hell",
        byItself: true,
        complete: false,
        limit: 4,
      },
    ],
    [
      "a limit of 0 keeps nothing",
      { bytes: counted(1, "x"), status: 404, body: "", byItself: true, complete: false, limit: 0 },
    ],
    [
      "a limit of 0, and there is nothing",
      { bytes: counted(0, ""), status: 404, body: "", byItself: true, limit: 0 },
    ],
    [
      "a limit of Infinity",
      {
        bytes: counted(20_000, "x".repeat(20_000)),
        status: 404,
        body: "x".repeat(20_000),
        byItself: true,
        limit: Infinity,
      },
    ],
    [
      "200 does not open",
      {
        bytes: head("HTTP/1.1 200 OK", "Content-Length: 2") + "ok",
        status: 200,
        body: "ok",
        byItself: true,
        reason: "OK",
      },
    ],
    [
      "in HTTP/1.0",
      { bytes: head("HTTP/1.0 403 No") + "x", status: 403, body: "x", byItself: false, reason: "No" },
    ],
    [
      "an empty reason phrase, its space missing",
      { bytes: head("HTTP/1.1 403", "Content-Length: 0"), status: 403, body: "", byItself: true, reason: "" },
    ],
    [
      "a reason phrase with obs-text",
      {
        bytes: head("HTTP/1.1 403 n\u00f6 ", "Content-Length: 0"),
        status: 403,
        body: "",
        byItself: true,
        reason: "n\u00f6 ",
      },
    ],
    [
      "after an informational response",
      {
        bytes: head("HTTP/1.1 103 x") + head("HTTP/1.1 599 y", "Content-Length: 0"),
        status: 599,
        body: "",
        byItself: true,
        reason: "y",
      },
    ],
    [
      "the key's answer in it means nothing",
      {
        bytes: head("HTTP/1.1 403 x", "Upgrade: websocket", "Connection: Upgrade", "Content-Length: 1") + "y",
        status: 403,
        body: "y",
        byItself: true,
        reason: "x",
      },
    ],
  ];

  describe.each(DELIVERIES)("%s", (_delivery, deliver) => {
    it.each(rows)("the body: %s", (_name, row) => {
      const { bytes, status, body, byItself, complete = true, reason = "Not Found", limit } = row;
      const options = limit === undefined ? {} : { limits: { body: limit } };
      const connection = client(URL, options);
      const events = deliver(connection, latin1Bytes(bytes));
      expect(typesOf(events)).toBe(byItself ? "rejected" : "");
      if (byItself) {
        // What follows is no concern of ours.
        expect(connection).toMatchObject({ state: "closing", transport: "end", wantsInput: true });
        expect(deliver(connection, joined("more", HI_FROM_SERVER))).toEqual([]);
      }
      connection.receiveEnd();
      events.push(...eventsOf(connection));
      expect(typesOf(events)).toBe("rejected closed");
      const rejected = only(events, "rejected");
      expect(rejected).toMatchObject({ status, complete });
      if (status === 404) expect(rejected.reason).toBe(reason);
      else if (row.reason !== undefined) expect(rejected.reason).toBe(reason);
      expect(latin1Text([rejected.body])).toBe(body);
      expect(only(events, "closed")).toMatchObject({
        code: 1006,
        clean: false,
        sent: undefined,
        cause: { by: "peer", rule: "rejected" },
      });
      expect(connection).toMatchObject({ state: "closed", outputSize: 0, deadline: undefined });
    });
  });

  it("a redirect is reported with its Location, not followed (RFC 9110 15.4)", () => {
    const connection = client();
    connection.receive(
      latin1Bytes(head("HTTP/1.1 301 Moved", "Location: wss://other.example/x", "Content-Length: 0")),
    );
    const rejected = only(eventsOf(connection), "rejected");
    expect(rejected).toMatchObject({ status: 301, reason: "Moved", complete: true });
    expect(headerValue(rejected.headers, "location")).toBe("wss://other.example/x");
    expect(connection.outputSize).toBe(0);
  });

  it("a challenge is reported with its headers", () => {
    const connection = client();
    connection.receive(
      latin1Bytes(
        head("HTTP/1.1 401 x", "WWW-Authenticate: Basic", "WWW-Authenticate: Digest", "Content-Length: 0"),
      ),
    );
    expect(only(eventsOf(connection), "rejected").headers).toEqual([
      ["WWW-Authenticate", "Basic"],
      ["WWW-Authenticate", "Digest"],
      ["Content-Length", "0"],
    ]);
  });

  it("the default limit keeps 64 KiB", () => {
    const connection = client();
    connection.receive(joined(head(NOT_FOUND), new Uint8Array(65537)));
    const rejected = only(eventsOf(connection), "rejected");
    expect(rejected.body.length).toBe(65536);
    expect(rejected.complete).toBe(false);
  });

  it.each<[name: string, bytes: string, body: string, complete: boolean]>([
    ["before the body is over (length)", counted(5, "hel"), "hel", false],
    ["before the body is over (chunked)", chunked("5\r\nhel"), "hel", false],
    ["in place of its end", head(NOT_FOUND) + "hel", "hel", false],
    ["after the whole body (length)", counted(5, "hello"), "hello", true],
    ["after the whole body (chunked)", chunked("1\r\na\r\n0\r\n\r\n"), "a", true],
    ["after a 204", head("HTTP/1.1 204 x"), "", true],
  ])("a reset %s: what came is told, read before it or after it", (_name, bytes, body, complete) => {
    for (const readBefore of [true, false]) {
      const connection = client();
      connection.receive(latin1Bytes(bytes));
      const events = readBefore ? eventsOf(connection) : [];
      connection.transportLost(new Error("reset"));
      events.push(...eventsOf(connection));
      expect(typesOf(events)).toBe("rejected closed");
      const rejected = only(events, "rejected");
      expect(latin1Text([rejected.body])).toBe(body);
      expect(rejected.complete).toBe(complete);
      expect(connection).toMatchObject({ state: "closed", transport: "destroy" });
    }
  });

  it.each([
    ["by length", counted(5, "hel")],
    ["by the end", head(NOT_FOUND) + "hel"],
    ["chunked", chunked("5\r\nhel")],
  ])("at the deadline what came is told: %s", (_name, bytes) => {
    const platform = testPlatform();
    const connection = new ClientConnection(URL, { platform, timeouts: { handshake: 300 } });
    platform.now = 1200;
    connection.takeOutput();
    connection.receive(latin1Bytes(bytes));
    expect(eventsOf(connection)).toEqual([]);
    expect(connection.deadline).toBe(1300);
    platform.now = 1300;
    connection.handleTimeout();
    expect(connection.transport).toBe("destroy");
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("rejected closed");
    expect(only(events, "rejected").complete).toBe(false);
    expect(latin1Text([only(events, "rejected").body])).toBe("hel");
    expect(connection).toMatchObject({ state: "closed", deadline: undefined });
  });

  it("after it the server's end is waited for, at most for `linger`", () => {
    const platform = testPlatform();
    const connection = new ClientConnection(URL, { platform, halfClose: true, timeouts: { linger: 400 } });
    connection.takeOutput();
    platform.now = 2000;
    connection.receive(latin1Bytes(counted(0, "")));
    expect(typesOf(eventsOf(connection))).toBe("rejected");
    expect(connection).toMatchObject({ deadline: 2400, transport: "end" });
    letTimePass(connection, platform);
    expect(platform.now).toBeLessThanOrEqual(2800); // from the response's arrival, or from the next look at the clock
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("closed");
    expect(only(events, "closed").cause.rule).toBe("rejected");
    expect(connection.transport).toBe("destroy");
  });

  it("a body in one-byte chunks costs linear time", () => {
    const connection = client(URL, { limits: { body: Infinity } });
    connection.receive(latin1Bytes(chunked("1\r\nx\r\n".repeat(50_000) + "0\r\n\r\n")));
    const rejected = only(eventsOf(connection), "rejected");
    expect(rejected).toMatchObject({ complete: true });
    expect(rejected.body.length).toBe(50_000);
  });
});

describe("no response", () => {
  it.each([
    ["none at all", ""],
    ["half a status line", "HTTP/1.1 1"],
    ["all but the last byte", "all"],
    ["an informational one only", head("HTTP/1.1 103 x")],
  ])("the stream ends: %s", (_name, given) => {
    const connection = client();
    const bytes = given === "all" ? upgradeResponse(keyOf(connection)).slice(0, -1) : given;
    connection.receive(latin1Bytes(bytes));
    connection.receiveEnd();
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("closed");
    expect(only(events, "closed")).toMatchObject({
      code: 1006,
      clean: false,
      sent: undefined,
      cause: { by: "peer", rule: "no-handshake", offset: bytes.length },
    });
  });

  it("the transport could not be had: one closed with its error", () => {
    const connection = new ClientConnection(URL, testOptions());
    const error = new Error("refused");
    connection.transportLost(error);
    connection.transportLost(new Error("again"));
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("closed");
    expect(only(events, "closed").cause).toMatchObject({ by: "transport", rule: "transport-lost", error });
    expect(connection).toMatchObject({ state: "closed", transport: "destroy", outputSize: 0 });
  });

  it("the deadline counts from the beginning, and is not moved by output or by bytes", () => {
    const platform = testPlatform();
    const connection = new ClientConnection(URL, { platform });
    expect(connection.deadline).toBe(11_000);
    platform.now = 5000;
    connection.takeOutput();
    connection.receive(latin1Bytes("HTTP/1.1 1"));
    expect(eventsOf(connection)).toEqual([]);
    expect(connection.deadline).toBe(11_000);
    platform.now = 10_999;
    connection.handleTimeout();
    expect(connection.transport).toBe("keep");
    platform.now = 11_000;
    connection.handleTimeout();
    connection.handleTimeout();
    expect(connection).toMatchObject({ transport: "destroy", deadline: undefined });
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("closed");
    expect(only(events, "closed")).toMatchObject({
      code: 1006,
      cause: { by: "peer", rule: "handshake-timeout" },
    });
  });

  it("the deadline ends with the response that opens", () => {
    const connection = client();
    connection.receive(latin1Bytes(upgradeResponse(keyOf(connection))));
    eventsOf(connection);
    expect(connection.deadline).toBeUndefined();
  });

  it("close() before open gives up: nothing more is sent, a second one is too late", () => {
    const connection = client();
    expect(connection.close(1000, "never mind")).toBe(true);
    expect(connection.close()).toBe(false);
    expect(connection).toMatchObject({ transport: "destroy", outputSize: 0 });
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("closed");
    expect(only(events, "closed")).toMatchObject({ code: 1006, cause: { by: "local", rule: "aborted" } });
  });
});
