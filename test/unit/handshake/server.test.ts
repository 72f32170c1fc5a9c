import { describe, expect, it } from "vitest";
import type { AcceptOptions, HandshakeRequest, RuleName } from "../../../src/index.js";
import { headerValue, RULES, ServerConnection } from "../../../src/index.js";
import {
  DELIVERIES,
  eventsOf,
  GOOD_HEADERS,
  head,
  HI_FROM_CLIENT,
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
  upgradeRequest,
} from "../../support/http.js";

const LINE = "GET /chat HTTP/1.1";
const key = (length: number): string => "a".repeat(length);

describe("requests that pass (RFC 6455 4.2.1)", () => {
  const rows: readonly [name: string, request: string, check?: (request: HandshakeRequest) => void][] = [
    ["the least that is needed", upgradeRequest()],
    ["RFC 9112 2.2: an empty line before the request line", `\r\n${upgradeRequest()}`],
    ["RFC 9112 2.2: several of them", `\r\n\r\n\r\n${upgradeRequest()}`],
    ["Connection lists more: keep-alive, Upgrade", upgradeRequest({ Connection: "keep-alive, Upgrade" })],
    ["Connection with empty elements and white space", upgradeRequest({ Connection: " ,\t, uPGRADE\t,," })],
    ["RFC 9110 5.3: Connection in two fields", upgradeRequest({ Connection: ["keep-alive", "Upgrade"] })],
    ["tokens in any case", upgradeRequest({ Upgrade: "WebSocket", Connection: "UPGRADE" })],
    ["Upgrade lists more", upgradeRequest({ Upgrade: "h2c, websocket" })],
    ["RFC 9110 5.3: Upgrade in two fields", upgradeRequest({ Upgrade: ["h2c", "websocket"] })],
    [
      "header names in any case",
      head(LINE, ...Object.entries(GOOD_HEADERS).map(([name, value]) => `${name.toUpperCase()}: ${value}`)),
    ],
    [
      "no white space after the colon, plenty around values",
      head(
        LINE,
        ...Object.entries(GOOD_HEADERS).map(
          ([name, value], index) => `${name}:${index % 2 === 0 ? value : `\t  ${value} \t `}`,
        ),
      ),
    ],
    [
      "an empty value",
      upgradeRequest({ "X-Empty": "" }),
      (request) => {
        expect(request.header("x-empty")).toBe("");
      },
    ],
    [
      "a value of white space alone is empty",
      upgradeRequest({ "X-Empty": " \t " }),
      (request) => {
        expect(request.header("x-empty")).toBe("");
      },
    ],
    [
      "white space and colons inside a value are kept",
      upgradeRequest({ "X-Value": "a \t b: c" }),
      (request) => {
        expect(request.header("x-value")).toBe("a \t b: c");
      },
    ],
    [
      "obs-text is read as Latin-1",
      upgradeRequest({ "X-Name": "caf\u00e9 \u0080\u00ff" }),
      (request) => {
        expect(request.header("x-name")).toBe("caf\u00e9 \u0080\u00ff");
      },
    ],
    ["every token character in a name", upgradeRequest({ "!#$%&'*+-.^_`|~09azAZ": "x" })],
    [
      "RFC 9110 5.3: other headers may stand twice",
      upgradeRequest({ Cookie: ["a=1", "b=2"] }),
      (request) => {
        expect(request.header("cookie")).toBe("a=1; b=2"); // RFC 9113 8.2.3
        expect(request.headers.filter(([name]) => name === "Cookie")).toHaveLength(2);
      },
    ],
    ["Content-Length: 0, as devices send", upgradeRequest({ "Content-Length": "0" })],
    ["Content-Length: 00", upgradeRequest({ "Content-Length": "00" })],
    ["Content-Length: 0 twice", upgradeRequest({ "Content-Length": ["0", "0"] })],
    [
      "erratum 3150: unused bits of the key's last character are set",
      upgradeRequest({ "Sec-WebSocket-Key": "AQIDBAUGBwgJCgsMDQ4PEC==" }),
    ],
    ["version with white space around", upgradeRequest({ "Sec-WebSocket-Version": " \t13 \t" })],
    [
      "RFC 9110 2.5: HTTP/1.2 counts as 1.1",
      upgradeRequest({}, { line: "GET / HTTP/1.2" }),
      (request) => {
        expect(request.httpVersion).toBe("1.2");
      },
    ],
    ["RFC 9110 2.5: HTTP/1.9 too", upgradeRequest({}, { line: "GET / HTTP/1.9" })],
    [
      "path and query",
      upgradeRequest({}, { line: "GET /a/%20b?c=d?e&f HTTP/1.1" }),
      (request) => {
        expect(request).toMatchObject({ target: "/a/%20b?c=d?e&f", path: "/a/%20b", query: "c=d?e&f" });
        expect(request).toMatchObject({ method: "GET", authority: "example.com", httpVersion: "1.1" });
        expect(request).toMatchObject({ protocol: undefined, scheme: undefined });
      },
    ],
    [
      "RFC 9112 3.2.2: absolute-form; its authority replaces Host",
      upgradeRequest({}, { line: "GET http://other.example:81/x?y HTTP/1.1" }),
      (request) => {
        expect(request).toMatchObject({ authority: "other.example:81", path: "/x", query: "y" });
      },
    ],
    [
      "RFC 9112 3.2.2: absolute-form without a path, scheme in capitals",
      upgradeRequest({}, { line: "GET WSS://other.example HTTP/1.1" }),
      (request) => {
        expect(request).toMatchObject({ authority: "other.example", path: "/", query: "" });
      },
    ],
    [
      "a path that begins with two slashes is no authority",
      upgradeRequest({}, { line: "GET //evil.example/x HTTP/1.1" }),
      (request) => {
        expect(request).toMatchObject({ authority: "example.com", path: "//evil.example/x" });
      },
    ],
    [
      "Host with a port",
      upgradeRequest({ Host: "example.com:8080" }),
      (request) => {
        expect(request.authority).toBe("example.com:8080");
      },
    ],
    ["Host with an empty port", upgradeRequest({ Host: "example.com:" })],
    ["Host is an IPv6 address", upgradeRequest({ Host: "[::1]:8080" })],
    ["Host is an IPv4 address", upgradeRequest({ Host: "127.0.0.1:65535" })],
    ["Host has an underscore", upgradeRequest({ Host: "my_service" })],
    [
      "Origin",
      upgradeRequest({ Origin: "https://example.com" }),
      (request) => {
        expect(request.origin).toBe("https://example.com");
      },
    ],
    [
      "no Origin",
      upgradeRequest(),
      (request) => {
        expect(request.origin).toBeUndefined();
      },
    ],
    [
      "subprotocols in order",
      upgradeRequest({ "Sec-WebSocket-Protocol": "chat, superchat" }),
      (request) => {
        expect(request.subprotocols).toEqual(["chat", "superchat"]);
      },
    ],
    [
      "RFC 6455 11.3.4: subprotocols in two fields, empty elements",
      upgradeRequest({ "Sec-WebSocket-Protocol": [" ,b,, a\t", ",,", "c"] }),
      (request) => {
        expect(request.subprotocols).toEqual(["b", "a", "c"]);
      },
    ],
    [
      "subprotocols that differ in case are two",
      upgradeRequest({ "Sec-WebSocket-Protocol": "chat, Chat" }),
      (request) => {
        expect(request.subprotocols).toEqual(["chat", "Chat"]);
      },
    ],
    [
      "an empty Sec-WebSocket-Protocol offers none",
      upgradeRequest({ "Sec-WebSocket-Protocol": "" }),
      (request) => {
        expect(request.subprotocols).toEqual([]);
      },
    ],
    [
      "RFC 6455 9.1: extensions, parameters, quotes, white space, empty elements",
      upgradeRequest({
        "Sec-WebSocket-Extensions": [
          ' , permessage-deflate ; client_max_window_bits\t;\tserver_max_window_bits = "10" ,',
          "foo;a=b,bar",
        ],
      }),
    ],
    ["an empty Sec-WebSocket-Extensions", upgradeRequest({ "Sec-WebSocket-Extensions": "" })],
  ];

  describe.each(DELIVERIES)("%s", (_delivery, deliver) => {
    it.each(rows)("%s", (_name, request, check) => {
      const connection = new ServerConnection(testOptions());
      const events = deliver(connection, latin1Bytes(request));
      expect(typesOf(events)).toBe("request");
      check?.(only(events, "request").request);
      expect(connection).toMatchObject({ state: "connecting", outputSize: 0, transport: "keep" });
      expect(connection.accept()).toBe(true);
      expect(latin1Text(connection.takeOutput())).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
      expect(typesOf(eventsOf(connection))).toBe("open");
      expect(connection.state).toBe("open");
    });

    it.each(rows)("with a frame after it: %s", (_name, request) => {
      const connection = new ServerConnection(testOptions());
      const events = deliver(connection, joined(request, HI_FROM_CLIENT));
      expect(typesOf(events)).toBe("request");
      expect(connection.accept()).toBe(true);
      const after = eventsOf(connection);
      expect(typesOf(after)).toBe("open text");
      expect(only(after, "text").text).toBe("hi");
    });
  });
});

interface Refused {
  readonly rule: RuleName;
  readonly status: number;
  readonly bytes: string;
  /** The offending byte's place; by default the last byte of the head. */
  readonly offset?: number;
}

const refused = (
  status: number,
  rule: RuleName,
  changes: Parameters<typeof upgradeRequest>[0],
  line = LINE,
): Refused => ({ rule, status, bytes: upgradeRequest(changes, { line }) });

/** Bytes of which the last is refused as soon as it comes. */
const refusedAtOnce = (status: number, rule: RuleName, bytes: string): Refused => ({
  rule,
  status,
  bytes,
  offset: bytes.length - 1,
});

const EXTENSIONS = "Sec-WebSocket-Extensions";
const PROTOCOLS = "Sec-WebSocket-Protocol";

describe("requests that are refused", () => {
  const rows: readonly [name: string, row: Refused][] = [
    // HTTP is parsed strictly
    ["RFC 9112 2.2: a bare LF ends the request line", refusedAtOnce(400, "bad-line-end", `${LINE}\n`)],
    ["RFC 9112 2.2: a bare LF ends a header", refusedAtOnce(400, "bad-line-end", `${LINE}\r\nHost: a\n`)],
    ["RFC 9112 2.2: a bare LF ends the head", refusedAtOnce(400, "bad-line-end", `${LINE}\r\nHost: a\r\n\n`)],
    ["RFC 9112 2.2: a bare LF before the request line", refusedAtOnce(400, "bad-line-end", "\n")],
    ["RFC 9112 2.2: a bare CR in the request line", refusedAtOnce(400, "bad-line-end", "GET /\rx")],
    ["RFC 9112 2.2: a bare CR in a header", refusedAtOnce(400, "bad-line-end", `${LINE}\r\nHost: a\rb`)],
    ["RFC 9112 2.2: CR CR LF", refusedAtOnce(400, "bad-line-end", `${LINE}\r\nHost: a\r\r`)],
    ["RFC 9112 2.2: CR at the beginning", refusedAtOnce(400, "bad-line-end", "\rG")],
    [
      "RFC 9112 5.2: a folded line (space)",
      refusedAtOnce(400, "bad-header-line", `${LINE}\r\nHost: a\r\n b\r\n`),
    ],
    [
      "RFC 9112 5.2: a folded line (tab)",
      refusedAtOnce(400, "bad-header-line", `${LINE}\r\nHost: a\r\n\tb: c\r\n`),
    ],
    [
      "RFC 9112 2.2: white space before the first header",
      refusedAtOnce(400, "bad-header-line", `${LINE}\r\n Host: a\r\n`),
    ],
    [
      "RFC 9112 5.1: a space before the colon",
      refusedAtOnce(400, "bad-header-line", `${LINE}\r\nHost : a\r\n`),
    ],
    [
      "RFC 9112 5.1: a tab before the colon",
      refusedAtOnce(400, "bad-header-line", `${LINE}\r\nHost\t: a\r\n`),
    ],
    ["RFC 9112 5: no colon", refusedAtOnce(400, "bad-header-line", `${LINE}\r\nHost\r\n`)],
    ["RFC 9112 5: no name", refusedAtOnce(400, "bad-header-line", `${LINE}\r\n: a\r\n`)],
    ["RFC 9110 5.1: a space in the name", refusedAtOnce(400, "bad-header-line", `${LINE}\r\nX Y: a\r\n`)],
    ["RFC 9110 5.1: a bracket in the name", refusedAtOnce(400, "bad-header-line", `${LINE}\r\nX(Y): a\r\n`)],
    [
      "RFC 9110 5.1: obs-text in the name",
      refusedAtOnce(400, "bad-header-line", `${LINE}\r\nX\u00e9: a\r\n`),
    ],
    ...[0x00, 0x01, 0x07, 0x08, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f].flatMap((code): [string, Refused][] => {
      const character = String.fromCharCode(code);
      const named = `0x${code.toString(16).padStart(2, "0")}`;
      return [
        [
          `RFC 9110 5.5: ${named} in a value`,
          refusedAtOnce(400, "bad-header-line", `${LINE}\r\nX: a${character}`),
        ],
        [
          `RFC 9110 5.1: ${named} in a name`,
          refusedAtOnce(400, "bad-header-line", `${LINE}\r\nX${character}`),
        ],
        [
          `RFC 9112 3: ${named} in the request line`,
          refusedAtOnce(400, "bad-request-line", `GET /${character}`),
        ],
      ];
    }),
    // The request line
    ["RFC 9112 3: one word", refusedAtOnce(400, "bad-request-line", "GET\r\n")],
    ["RFC 9112 3: two words (HTTP/0.9)", refusedAtOnce(400, "bad-request-line", "GET /\r\n")],
    ["RFC 9112 3: four words", refusedAtOnce(400, "bad-request-line", "GET / x HTTP/1.1\r\n")],
    ["RFC 9112 3: two spaces", refusedAtOnce(400, "bad-request-line", "GET  / HTTP/1.1\r\n")],
    ["RFC 9112 3: a space before", refusedAtOnce(400, "bad-request-line", " GET / HTTP/1.1\r\n")],
    ["RFC 9112 3: a space after", refusedAtOnce(400, "bad-request-line", "GET / HTTP/1.1 \r\n")],
    ["RFC 9112 3: a tab between", refusedAtOnce(400, "bad-request-line", "GET\t/ HTTP/1.1\r\n")],
    ["RFC 9110 9.1: the method is no token", refusedAtOnce(400, "bad-request-line", "G@T / HTTP/1.1\r\n")],
    [
      "RFC 9112 3.2: obs-text in the target",
      refusedAtOnce(400, "bad-request-line", "GET /\u00e9 HTTP/1.1\r\n"),
    ],
    [
      "RFC 9112 2.3: the version in small letters",
      refusedAtOnce(400, "bad-request-line", "GET / http/1.1\r\n"),
    ],
    ["RFC 9112 2.3: a version without minor", refusedAtOnce(400, "bad-request-line", "GET / HTTP/1\r\n")],
    [
      "RFC 9112 2.3: a version with two digits",
      refusedAtOnce(400, "bad-request-line", "GET / HTTP/1.10\r\n"),
    ],
    ["RFC 9112 2.3: another protocol", refusedAtOnce(400, "bad-request-line", "GET / RTSP/1.0\r\n")],
    ["a TLS ClientHello", refusedAtOnce(400, "bad-request-line", "\x16")],
    ["RFC 9110 15.6.6: HTTP/2.0", refusedAtOnce(505, "http-version", "GET / HTTP/2.0\r\n")],
    ["RFC 9110 15.6.6: HTTP/0.9", refusedAtOnce(505, "http-version", "GET / HTTP/0.9\r\n")],
    ["RFC 9113 3.4: HTTP/2's preface", refusedAtOnce(505, "http-version", "PRI * HTTP/2.0\r\n")],
    ["RFC 9110 7.8: HTTP/1.0 ignores Upgrade", refused(426, "http-1.0", {}, "GET / HTTP/1.0")],
    ["RFC 9110 7.8: HTTP/1.0 without Host", refused(426, "http-1.0", { Host: undefined }, "GET / HTTP/1.0")],
    // The method
    ...["POST", "PUT", "OPTIONS", "DELETE", "TRACE", "PATCH", "HEAD", "get", "CONNECT", "M-SEARCH"].map(
      (method): [string, Refused] => [
        `RFC 6455 4.2.1: the method ${method}`,
        refused(405, "method", {}, `${method} / HTTP/1.1`),
      ],
    ),
    // A body
    ...["1", "-1", "+0", "0x0", "", "0, 1", "0, 0", "1e1", "9".repeat(30)].map(
      (length): [string, Refused] => [
        `no body: Content-Length: ${length}`,
        refused(400, "body", { "Content-Length": length }),
      ],
    ),
    ["no body: one of two lengths", refused(400, "body", { "Content-Length": ["0", "5"] })],
    ["no body: Transfer-Encoding", refused(400, "body", { "Transfer-Encoding": "chunked" })],
    ["no body: Transfer-Encoding: identity", refused(400, "body", { "Transfer-Encoding": "identity" })],
    ["no body: an empty Transfer-Encoding", refused(400, "body", { "Transfer-Encoding": "" })],
    // Host
    ["RFC 9112 3.2: no Host", refused(400, "host", { Host: undefined })],
    ["RFC 9112 3.2: two Hosts", refused(400, "host", { Host: ["a.example", "b.example"] })],
    ["RFC 9112 3.2: the same Host twice", refused(400, "host", { Host: ["a.example", "a.example"] })],
    ...[
      "",
      "a b",
      "a/b",
      "user@a",
      "a,b c",
      "a:b",
      "a:1:2",
      "a:65536",
      "::1",
      "[::1",
      "http://a",
      "a?b",
      "\u00e9",
    ].map((host): [string, Refused] => [`RFC 9112 3.2: Host: ${host}`, refused(400, "host", { Host: host })]),
    [
      "RFC 9112 3.2.2: no Host beside absolute-form",
      refused(400, "host", { Host: undefined }, "GET http://a.example/ HTTP/1.1"),
    ],
    // The target
    ...[
      "*",
      "chat",
      "?x",
      "example.com:80",
      "/a#b",
      "/#",
      "ftp://a/",
      "http:///x",
      "http://u@a/",
      "http://a:x/",
    ].map((target): [string, Refused] => [
      `RFC 9112 3.2: the target ${target}`,
      refused(400, "target", {}, `GET ${target} HTTP/1.1`),
    ]),
    // Upgrade and Connection
    ["RFC 6455 4.2.1: no Upgrade", refused(426, "upgrade", { Upgrade: undefined })],
    ["RFC 6455 4.2.1: Upgrade: h2c", refused(426, "upgrade", { Upgrade: "h2c" })],
    ["RFC 6455 4.2.1: Upgrade: websockets", refused(426, "upgrade", { Upgrade: "websockets" })],
    ["RFC 6455 4.2.1: Upgrade: websocket/13", refused(426, "upgrade", { Upgrade: "websocket/13" })],
    ["RFC 6455 4.2.1: no Connection", refused(426, "upgrade", { Connection: undefined })],
    ["RFC 6455 4.2.1: Connection: close", refused(426, "upgrade", { Connection: "close" })],
    ["RFC 6455 4.2.1: Connection: Upgrade2", refused(426, "upgrade", { Connection: "Upgrade2" })],
    [
      "RFC 6455 4.2.1: Connection: keep-alive Upgrade",
      refused(426, "upgrade", { Connection: "keep-alive Upgrade" }),
    ],
    [
      "RFC 9110 5.6.3: a no-break space is no white space (Upgrade)",
      refused(426, "upgrade", { Upgrade: "\u00a0websocket" }),
    ],
    [
      "RFC 9110 5.6.3: a no-break space is no white space (Connection)",
      refused(426, "upgrade", { Connection: "keep-alive,\u00a0Upgrade" }),
    ],
    [
      "a visit by a browser",
      refused(426, "upgrade", {
        Upgrade: undefined,
        Connection: "keep-alive",
        "Sec-WebSocket-Key": undefined,
        "Sec-WebSocket-Version": undefined,
      }),
    ],
    // The key
    ["RFC 6455 4.2.1: no key", refused(400, "key", { "Sec-WebSocket-Key": undefined })],
    ["RFC 6455 4.2.1: an empty key", refused(400, "key", { "Sec-WebSocket-Key": "" })],
    ["RFC 6455 4.2.1: a key of 15 bytes", refused(400, "key", { "Sec-WebSocket-Key": key(20) })],
    ["RFC 6455 4.2.1: a key of 17 bytes", refused(400, "key", { "Sec-WebSocket-Key": `${key(23)}=` })],
    ["RFC 6455 4.2.1: a key of 18 bytes", refused(400, "key", { "Sec-WebSocket-Key": key(24) })],
    [
      "RFC 6455 4.2.1: a key that is not base64",
      refused(400, "key", { "Sec-WebSocket-Key": `${key(21)}-==` }),
    ],
    [
      "RFC 6455 11.3.1: two keys",
      refused(400, "key", { "Sec-WebSocket-Key": [`${key(22)}==`, `${key(22)}==`] }),
    ],
    // The version
    ["RFC 6455 4.4: no version", refused(426, "version", { "Sec-WebSocket-Version": undefined })],
    ...["", "0", "8", "12", "14", "013", "13.0", "+13", "13, 8", "13;", '"13"', "1 3", "256"].map(
      (version): [string, Refused] => [
        `RFC 6455 4.4: version ${version}`,
        refused(426, "version", { "Sec-WebSocket-Version": version }),
      ],
    ),
    [
      "RFC 6455 11.3.5: two versions",
      refused(400, "doubled-header", { "Sec-WebSocket-Version": ["13", "13"] }),
    ],
    ["RFC 6454 7.2: two Origins", refused(400, "doubled-header", { Origin: ["https://a", "https://a"] })],
    // Subprotocols
    ...["a b", "a;b", "a/b", '"a"', "a, b c", "\u00e9", "a, \u00a0b", "a, a", "a,b,a", "a\tb", "(a)"].map(
      (list): [string, Refused] => [
        `RFC 6455 4.1: subprotocols ${list}`,
        refused(400, "subprotocols", { [PROTOCOLS]: list }),
      ],
    ),
    [
      "RFC 6455 4.1: a subprotocol twice, in two fields",
      refused(400, "subprotocols", { [PROTOCOLS]: ["a, b", "b"] }),
    ],
    // Extensions, even where none is wanted
    ...[
      "a b",
      ";",
      "a;",
      "a; ;b",
      "a;=b",
      "a;b=",
      "a;b==c",
      "a;b=c d",
      'a;b="',
      'a;b="c',
      'a;b=""',
      'a;b="c d"',
      'a;b="c"d',
      'a;b="c\\"',
      'a;b="c\\\\"',
      'a;b=c"d"',
      "a;b='(c)'",
      "a=b",
      "a/b",
      "@",
      "\u00e9",
      "a;b=\u00e9",
      '"a"',
      "a,;b",
    ].map((field): [string, Refused] => [
      `RFC 6455 9.1: malformed extensions ${field}`,
      refused(400, "extensions", { [EXTENSIONS]: field }),
    ]),
    [
      "erratum 3433: extensions are malformed in the second field",
      refused(400, "extensions", { [EXTENSIONS]: ["a", "b;"] }),
    ],
  ];

  describe.each(DELIVERIES)("%s", (_delivery, deliver) => {
    describe.each([
      ["alone", ""],
      ["with a good request after it", upgradeRequest()],
    ])("%s", (_name, trailing) => {
      it.each(rows)("%s", (_name, { rule, status, bytes, offset }) => {
        const connection = new ServerConnection(testOptions());
        const events = deliver(connection, latin1Bytes(bytes + trailing));

        // One closing, no request, nothing parsed after it.
        expect(typesOf(events)).toBe("closing");
        expect(only(events, "closing")).toMatchObject({ code: 1006, reason: RULES[rule].says });
        const { cause } = only(events, "closing");
        expect(cause).toMatchObject({ by: "peer", rule, section: RULES[rule].section });
        expect(cause.offset).toBe(offset ?? bytes.length - 1);
        expect(connection).toMatchObject({ state: "closing", transport: "end", wantsInput: true });

        const response = parseWritten(latin1Text(connection.takeOutput()));
        expect(response.status).toBe(status);
        expect(response.startLine).toMatch(/^HTTP\/1\.1 [0-9]{3} [A-Z][A-Za-z ]+$/);
        const head = bytes.startsWith("HEAD ");
        if (head) {
          expect(response.body).toBe("");
        } else {
          expect(response.header("content-length")).toBe(String(response.body.length));
          expect(response.body).toContain(RULES[rule].says);
          expect(response.header("content-type")).toBe("text/plain; charset=utf-8");
        }
        expect(response.header("connection")).toBe(status === 426 ? "Upgrade, close" : "close");
        expect(response.header("upgrade")).toBe(status === 426 ? "websocket" : undefined);
        expect(response.header("sec-websocket-version")).toBe(status === 426 ? "13" : undefined);
        expect(response.header("allow")).toBe(status === 405 ? "GET" : undefined);
        for (const [name] of response.headers) expect(response.count(name)).toBe(1);

        // Too late for an answer; what comes is discarded; one closed with the same cause.
        expect(connection.accept()).toBe(false);
        expect(connection.reject({ status: 403 })).toBe(false);
        expect(deliver(connection, latin1Bytes(upgradeRequest()))).toEqual([]);
        connection.receiveEnd();
        const last = eventsOf(connection);
        expect(typesOf(last)).toBe("closed");
        expect(only(last, "closed")).toMatchObject({ code: 1006, reason: "", clean: false, sent: undefined });
        expect(only(last, "closed").cause).toEqual(cause);
        expect(connection).toMatchObject({
          state: "closed",
          outputSize: 0,
          wantsInput: false,
          deadline: undefined,
        });
        expect(eventsOf(connection)).toEqual([]);
      });
    });
  });

  it("RFC 9110 7.8: the 426 to HTTP/1.0 hints at the proxy's setting", () => {
    const connection = new ServerConnection(testOptions());
    connection.receive(latin1Bytes(upgradeRequest({}, { line: "GET / HTTP/1.0" })));
    eventsOf(connection);
    expect(parseWritten(latin1Text(connection.takeOutput())).body).toMatch(/proxy/);
  });

  it.each([
    ["a malformed header", "HEAD / HTTP/1.1\r\nBad header\r\n"],
    ["too many headers", "HEAD / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\n"],
    ["a long head", `HEAD / HTTP/1.1\r\nA: ${"x".repeat(200)}`],
    ["HTTP/2.0", "HEAD / HTTP/2.0\r\n"],
  ])("RFC 9110 9.3.2: no body to HEAD, also with %s", (_name, bytes) => {
    const connection = new ServerConnection(testOptions({ limits: { headers: 2, head: 100 } }));
    connection.receive(latin1Bytes(bytes));
    expect(typesOf(eventsOf(connection))).toBe("closing");
    expect(parseWritten(latin1Text(connection.takeOutput())).body).toBe("");
  });
});

describe("the limits of a head are exact (RFC 6585 5, RFC 9110 15.5.15)", () => {
  const request = upgradeRequest({ "X-Long": "y".repeat(100) });
  const line = "GET / HTTP/1.1";

  describe.each(DELIVERIES)("%s", (_delivery, deliver) => {
    it.each([
      ["a head at the limit passes", request, request.length, undefined, undefined],
      ["one byte over the limit: 431", request, request.length - 1, 431, request.length - 1],
      ["the limit inside a header: 431", request, 50, 431, 50],
      ["a request line at the limit: 431 for what follows", request, LINE.length + 2, 431, LINE.length + 2],
      ["a request line over the limit: 414", request, LINE.length + 1, 414, LINE.length + 1],
      ["the limit inside the target: 414", request, 6, 414, 6],
      ["empty lines before count", `\r\n\r\n${request}`, request.length + 3, 431, request.length + 3],
      [
        "empty lines before count, at the limit",
        `\r\n\r\n${request}`,
        request.length + 4,
        undefined,
        undefined,
      ],
      ["nothing but empty lines", "\r\n".repeat(50), 99, 414, 99],
      ["no bytes at all", request, 0, 414, 0],
    ])("%s", (_name, bytes, limit, status, offset) => {
      const connection = new ServerConnection(testOptions({ limits: { head: limit } }));
      const events = deliver(connection, joined(bytes, HI_FROM_CLIENT));
      if (status === undefined) {
        expect(typesOf(events)).toBe("request");
        return;
      }
      expect(typesOf(events)).toBe("closing");
      expect(only(events, "closing").cause).toMatchObject({
        by: "peer",
        rule: status === 414 ? "start-line-limit" : "head-limit",
        offset,
      });
      expect(parseWritten(latin1Text(connection.takeOutput()))).toMatchObject({ status });
    });

    it.each([
      ["at the count", 5, true],
      ["one more", 4, false],
      ["none allowed", 0, false],
    ])("header fields: %s", (_name, headers, passes) => {
      const connection = new ServerConnection(testOptions({ limits: { headers } }));
      const events = deliver(connection, latin1Bytes(upgradeRequest()));
      expect(typesOf(events)).toBe(passes ? "request" : "closing");
      if (passes) return;
      expect(only(events, "closing").cause.rule).toBe("header-count");
      expect(parseWritten(latin1Text(connection.takeOutput())).status).toBe(431);
    });
  });

  it("defaults: 16 KiB and 100 header fields", () => {
    const status = (bytes: string): number | undefined => {
      const connection = new ServerConnection(testOptions());
      connection.receive(latin1Bytes(bytes));
      eventsOf(connection);
      const output = connection.takeOutput();
      return output === undefined ? undefined : parseWritten(latin1Text(output)).status;
    };
    const room = 16384 - upgradeRequest({ "X-Long": "" }).length;
    expect(status(upgradeRequest({ "X-Long": "y".repeat(room) }))).toBeUndefined();
    expect(status(upgradeRequest({ "X-Long": "y".repeat(room + 1) }))).toBe(431);
    const more = (count: number): string[] => Array.from({ length: count }, (_, index) => `X-${index}: y`);
    expect(status(upgradeRequest({}, { more: more(95) }))).toBeUndefined();
    expect(status(upgradeRequest({}, { more: more(96) }))).toBe(431);
    expect(status(head(`${line} `.repeat(2000)))).toBe(414);
  });

  it("Infinity is a limit", () => {
    const connection = new ServerConnection(testOptions({ limits: { head: Infinity, headers: Infinity } }));
    const more = Array.from({ length: 3000 }, (_, index) => `X-${index}: ${"y".repeat(20)}`);
    connection.receive(latin1Bytes(upgradeRequest({}, { more })));
    expect(typesOf(eventsOf(connection))).toBe("request");
  });
});

function requested(changes = {}, options = {}): ServerConnection {
  const connection = new ServerConnection(testOptions(options));
  connection.receive(latin1Bytes(upgradeRequest(changes)));
  expect(typesOf(eventsOf(connection))).toBe("request");
  return connection;
}

describe("accept()", () => {
  it.each<
    [name: string, changes: Record<string, string>, options: AcceptOptions | undefined, lines: string[]]
  >([
    ["nothing more", {}, undefined, []],
    ["an empty object", {}, {}, []],
    ["no subprotocol of those offered", { [PROTOCOLS]: "a, b" }, {}, []],
    ["a subprotocol", { [PROTOCOLS]: "a, b" }, { subprotocol: "b" }, ["Sec-WebSocket-Protocol: b"]],
    [
      "headers as a record, as often as the list has it, undefined left out",
      {},
      { headers: { "Set-Cookie": ["a=1", "b=2"], "X-Y": "z", "X-No": undefined } },
      ["Set-Cookie: a=1", "Set-Cookie: b=2", "X-Y: z"],
    ],
    [
      "headers as a list, in order",
      {},
      {
        headers: [
          ["B", "1"],
          ["A", "2"],
          ["B", "3"],
        ],
      },
      ["B: 1", "A: 2", "B: 3"],
    ],
    ["Latin-1 in a value", {}, { headers: { "X-Y": "caf\u00e9\t\u00ff" } }, ["X-Y: caf\u00e9\t\u00ff"]],
    ["an empty value", {}, { headers: { "X-Y": "" } }, ["X-Y: "]],
    ["extensions that nobody wants are not answered", { [EXTENSIONS]: "foo; bar" }, {}, []],
  ])("the bytes of the 101: %s", (_name, changes, options, lines) => {
    const connection = requested(changes);
    expect(connection.accept(options)).toBe(true);
    const text = latin1Text(connection.takeOutput());
    expect(text).toBe(
      head(
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        `Sec-WebSocket-Accept: ${SAMPLE_ACCEPT}`,
        ...lines,
      ),
    );
    const open = only(eventsOf(connection), "open");
    expect(open).toMatchObject({ subprotocol: options?.subprotocol, extensions: [] });
    expect(open.headers).toEqual(parseWritten(text).headers);
  });

  it("opens: messages go both ways, and no second answer", () => {
    const connection = requested();
    expect(connection.accept()).toBe(true);
    expect(connection.state).toBe("open");
    expect(connection.sendText("x")).toBe(true);
    expect(typesOf(eventsOf(connection))).toBe("open");
    const text = latin1Text(connection.takeOutput());
    expect(text.endsWith("\r\n\r\n\x81\x01x")).toBe(true);
    expect(() => connection.accept()).toThrow(expect.objectContaining({ code: "bad-state" }));
    expect(() => connection.reject({ status: 403 })).toThrow(expect.objectContaining({ code: "bad-state" }));
    expect(connection).toMatchObject({ state: "open", outputSize: 0 });
  });

  it("may come much later; the deadline stops at the request", () => {
    const platform = testPlatform();
    const connection = new ServerConnection({ platform });
    expect(connection.deadline).toBe(11_000);
    const bytes = latin1Bytes(upgradeRequest());
    platform.now = 10_999;
    connection.receive(bytes.subarray(0, 30));
    expect(eventsOf(connection)).toEqual([]);
    expect(connection.deadline).toBe(11_000);
    connection.receive(bytes.subarray(30));
    expect(typesOf(eventsOf(connection))).toBe("request");
    expect(connection.deadline).toBeUndefined();
    platform.now = 1e9;
    connection.handleTimeout();
    expect(eventsOf(connection)).toEqual([]);
    expect(connection.accept()).toBe(true);
    expect(connection.deadline).toBeUndefined();
  });

  it("frames that came before it are held, and count against wantsInput", () => {
    const frames = joined(...Array.from({ length: 10 }, () => HI_FROM_CLIENT));
    const connection = new ServerConnection(testOptions({ highWaterMark: frames.length }));
    connection.receive(joined(upgradeRequest(), frames.subarray(0, 3)));
    expect(typesOf(eventsOf(connection))).toBe("request");
    expect(connection.wantsInput).toBe(true);
    connection.receive(frames.subarray(3, -1));
    expect(connection.wantsInput).toBe(true);
    connection.receive(frames.subarray(-1));
    expect(connection.wantsInput).toBe(false);
    expect(eventsOf(connection)).toEqual([]);
    connection.accept();
    expect(typesOf(eventsOf(connection))).toBe(`open${" text".repeat(10)}`);
    expect(connection.wantsInput).toBe(true);
  });

  it("the peer's end before it is told after it", () => {
    const connection = requested();
    connection.receive(HI_FROM_CLIENT);
    connection.receiveEnd();
    expect(eventsOf(connection)).toEqual([]);
    expect(connection.accept()).toBe(true);
    expect(typesOf(eventsOf(connection))).toBe("open text");
    expect(latin1Text(connection.takeOutput())).toMatch(/^HTTP\/1\.1 101 /);
    const closed = only(eventsOf(connection), "closed");
    expect(closed).toMatchObject({ code: 1006, clean: false, cause: { rule: "no-close", by: "peer" } });
  });
});

describe("reject()", () => {
  it.each<[name: string, options: Parameters<ServerConnection["reject"]>[0], written: string]>([
    [
      "a status alone",
      { status: 403 },
      head("HTTP/1.1 403 Forbidden", "Connection: close", "Content-Length: 0"),
    ],
    [
      "an unknown path",
      { status: 404 },
      head("HTTP/1.1 404 Not Found", "Connection: close", "Content-Length: 0"),
    ],
    [
      "a status without a reason phrase of ours",
      { status: 499 },
      head("HTTP/1.1 499 ", "Connection: close", "Content-Length: 0"),
    ],
    [
      "a body of text is UTF-8",
      { status: 401, body: "n\u00f6 \u20ac" },
      head(
        "HTTP/1.1 401 Unauthorized",
        "Content-Type: text/plain; charset=utf-8",
        "Connection: close",
        "Content-Length: 7",
      ) + "n\u00c3\u00b6 \u00e2\u0082\u00ac",
    ],
    [
      "a body of text with a type of its own, in any case",
      { status: 500, headers: { "content-TYPE": "application/json" }, body: "{}" },
      head(
        "HTTP/1.1 500 Internal Server Error",
        "content-TYPE: application/json",
        "Connection: close",
        "Content-Length: 2",
      ) + "{}",
    ],
    [
      "a body of bytes",
      { status: 503, headers: { "Retry-After": "9" }, body: Uint8Array.of(0, 13, 10, 255) },
      head("HTTP/1.1 503 Service Unavailable", "Retry-After: 9", "Connection: close", "Content-Length: 4") +
        "\0\r\n\u00ff",
    ],
    [
      "an empty body",
      { status: 429, body: new Uint8Array(0) },
      head("HTTP/1.1 429 Too Many Requests", "Connection: close", "Content-Length: 0"),
    ],
    [
      "a redirect",
      { status: 302, headers: [["Location", "/there"]] },
      head("HTTP/1.1 302 ", "Location: /there", "Connection: close", "Content-Length: 0"),
    ],
    [
      "RFC 9112 6.3: a 304 has no body",
      { status: 304, body: "never" },
      head("HTTP/1.1 304 ", "Content-Type: text/plain; charset=utf-8", "Connection: close"),
    ],
    [
      "RFC 9110 7.8: Upgrade needs its Connection option",
      { status: 426, headers: { Upgrade: "websocket" } },
      head(
        "HTTP/1.1 426 Upgrade Required",
        "Upgrade: websocket",
        "Connection: Upgrade, close",
        "Content-Length: 0",
      ),
    ],
    ["the last status", { status: 599 }, head("HTTP/1.1 599 ", "Connection: close", "Content-Length: 0")],
    ["the first status", { status: 300 }, head("HTTP/1.1 300 ", "Connection: close", "Content-Length: 0")],
  ])("the bytes: %s", (_name, options, written) => {
    const connection = requested();
    expect(connection.reject(options)).toBe(true);
    expect(connection).toMatchObject({ state: "closing", transport: "end", wantsInput: true });
    expect(connection.outputSize).toBe(written.length);
    expect(latin1Text(connection.takeOutput())).toBe(written);
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("closing");
    const { cause } = only(events, "closing");
    expect(only(events, "closing")).toMatchObject({ code: 1006, reason: "" });
    expect(cause).toMatchObject({ by: "local", rule: "not-accepted", offset: undefined });
    expect(connection.reject({ status: 404 })).toBe(false);
    expect(connection.accept()).toBe(false);
    expect(connection.sendText("x")).toBe(false);
    expect(connection.close(1000)).toBe(false);
    connection.receive(HI_FROM_CLIENT);
    expect(eventsOf(connection)).toEqual([]);
    expect(connection.outputSize).toBe(0);
    connection.receiveEnd();
    expect(eventsOf(connection)).toEqual([
      { type: "closed", code: 1006, reason: "", clean: false, sent: undefined, cause },
    ]);
  });

  it("a body that the caller changes afterwards", () => {
    const connection = requested();
    const body = latin1Bytes("abc");
    connection.reject({ status: 400, body });
    body.fill(0);
    expect(latin1Text(connection.takeOutput())).toMatch(/\r\n\r\nabc$/);
  });

  it("a large body, and all is written before the end", () => {
    const connection = requested();
    const body = "x".repeat(100_000);
    connection.reject({ status: 400, body });
    connection.receiveEnd();
    expect(typesOf(eventsOf(connection))).toBe("closing");
    expect(parseWritten(latin1Text(connection.takeOutput())).body).toBe(body);
    expect(typesOf(eventsOf(connection))).toBe("closed");
  });

  it("the peer is read until its end, at most for `linger`, so that it sees the answer", () => {
    const platform = testPlatform();
    const connection = new ServerConnection({ platform, halfClose: true, timeouts: { linger: 700 } });
    connection.receive(latin1Bytes(upgradeRequest()));
    eventsOf(connection);
    platform.now = 5000;
    connection.reject({ status: 403 });
    expect(connection.deadline).toBe(5700);
    platform.now = 5600;
    connection.takeOutput();
    expect(connection.deadline).toBe(6300);
    connection.receive(new Uint8Array(1000));
    expect(typesOf(eventsOf(connection))).toBe("closing");
    platform.now = 6300;
    connection.handleTimeout();
    expect(connection).toMatchObject({ transport: "destroy", state: "closed", deadline: undefined });
    expect(typesOf(eventsOf(connection))).toBe("closed");
  });

  it("without halfClose the transport is never ended, but destroyed at last", () => {
    const platform = testPlatform();
    const connection = new ServerConnection({ platform });
    connection.receive(latin1Bytes(upgradeRequest()));
    eventsOf(connection);
    connection.reject({ status: 403 });
    expect(connection.transport).toBe("keep");
    expect(typesOf(eventsOf(connection))).toBe("closing");
    connection.takeOutput();
    connection.receiveEnd();
    const events = eventsOf(connection);
    letTimePass(connection, platform);
    events.push(...eventsOf(connection));
    expect(typesOf(events)).toBe("closed");
    expect(connection).toMatchObject({ transport: "destroy", state: "closed" });
  });

  it("without halfClose and with a linger of Infinity, the peer's end is the end: nothing is waited for without end", () => {
    const connection = new ServerConnection({ platform: testPlatform(), timeouts: { linger: Infinity } });
    connection.receive(latin1Bytes(upgradeRequest()));
    eventsOf(connection);
    connection.reject({ status: 403 });
    connection.takeOutput();
    connection.receiveEnd();
    expect(typesOf(eventsOf(connection))).toBe("closing closed");
    expect(connection).toMatchObject({ transport: "destroy", state: "closed", deadline: undefined });
  });
});

describe("answers that come too late return false, and nothing is sent", () => {
  it.each<[name: string, end: (connection: ServerConnection) => void]>([
    ["the transport was lost", (connection) => connection.transportLost(new Error("reset"))],
    ["the connection was given up", (connection) => connection.close()],
    ["it was rejected", (connection) => connection.reject({ status: 403 })],
  ])("%s", (_name, end) => {
    const connection = requested({ [PROTOCOLS]: "a" });
    end(connection);
    connection.takeOutput();
    const { state } = connection;
    expect(connection.accept({ subprotocol: "a" })).toBe(false);
    expect(connection.reject({ status: 403, body: "x" })).toBe(false);
    expect(connection).toMatchObject({ state, outputSize: 0 });
  });

  it("a transport lost while deciding: one closed, which tells why", () => {
    const connection = requested();
    const error = new Error("reset");
    connection.transportLost(error);
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("closed");
    expect(only(events, "closed")).toMatchObject({
      code: 1006,
      cause: { by: "transport", rule: "transport-lost", error },
    });
    expect(connection.transport).toBe("destroy");
  });

  it("a transport lost inside the head: one closed, no request", () => {
    const connection = new ServerConnection(testOptions());
    connection.receive(latin1Bytes(upgradeRequest().slice(0, -1)));
    connection.transportLost();
    expect(typesOf(eventsOf(connection))).toBe("closed");
  });
});

describe("the head does not come to its end", () => {
  it.each([
    ["nothing came", 0],
    ["half of it", 40],
    ["all but the last byte", upgradeRequest().length - 1],
  ])("the stream ends: %s", (_name, count) => {
    const connection = new ServerConnection(testOptions());
    connection.receive(latin1Bytes(upgradeRequest().slice(0, count)));
    connection.receiveEnd();
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("closed");
    expect(only(events, "closed")).toMatchObject({
      code: 1006,
      clean: false,
      sent: undefined,
      cause: { by: "peer", rule: "no-handshake", offset: count },
    });
    expect(connection).toMatchObject({ state: "closed", outputSize: 0 });
  });

  it.each([
    ["nothing came", 0],
    ["half of it", 40],
  ])("RFC 9110 15.5.9: 408 at the deadline: %s", (_name, count) => {
    const platform = testPlatform();
    const connection = new ServerConnection({ platform, halfClose: true, timeouts: { handshake: 500 } });
    connection.receive(latin1Bytes(upgradeRequest().slice(0, count)));
    expect(eventsOf(connection)).toEqual([]);
    expect(connection.deadline).toBe(1500);
    platform.now = 1499;
    connection.handleTimeout();
    expect(connection.state).toBe("connecting");
    platform.now = 1500;
    connection.handleTimeout();
    connection.handleTimeout();
    const response = parseWritten(latin1Text(connection.takeOutput()));
    expect(response.status).toBe(408);
    expect(response.header("connection")).toBe("close");
    expect(response.header("content-length")).toBe(String(response.body.length));
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("closing");
    expect(only(events, "closing").cause).toMatchObject({ by: "peer", rule: "handshake-timeout" });
    connection.receive(latin1Bytes(upgradeRequest()));
    expect(eventsOf(connection)).toEqual([]);
    connection.receiveEnd();
    expect(only(eventsOf(connection), "closed").cause.rule).toBe("handshake-timeout");
  });

  it("without a clock there is no deadline", () => {
    const connection = new ServerConnection();
    expect(connection.deadline).toBeUndefined();
    connection.handleTimeout();
    expect(connection.state).toBe("connecting");
  });
});

describe("receiveRequest(): a request that an HTTP server has read", () => {
  const data = {
    method: "GET",
    target: "/chat?x",
    httpVersion: "1.1",
    headers: Object.entries(GOOD_HEADERS),
  };

  it("is answered in bytes, and the bytes past the head become frames", () => {
    const connection = new ServerConnection(testOptions());
    connection.receiveRequest(data, HI_FROM_CLIENT.subarray(0, 5));
    const { request } = only(eventsOf(connection), "request");
    expect(request).toMatchObject({ method: "GET", path: "/chat", query: "x", authority: "example.com" });
    expect(connection.accept({ headers: { "X-Y": "z" } })).toBe(true);
    expect(connection.response).toBeUndefined();
    expect(parseWritten(latin1Text(connection.takeOutput()))).toMatchObject({
      startLine: "HTTP/1.1 101 Switching Protocols",
      body: "",
    });
    connection.receive(HI_FROM_CLIENT.subarray(5));
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("open text");
  });

  it("without further bytes, and without its version", () => {
    const connection = new ServerConnection(testOptions());
    connection.receiveRequest({ method: "GET", target: "/", headers: data.headers });
    expect(only(eventsOf(connection), "request").request.httpVersion).toBe("1.1");
  });

  it("after events were looked for in vain", () => {
    const connection = new ServerConnection(testOptions());
    expect(connection.nextEvent()).toBeUndefined();
    connection.receiveRequest(data);
    expect(typesOf(eventsOf(connection))).toBe("request");
  });

  it("copies the bytes past the head", () => {
    const connection = new ServerConnection(testOptions());
    const frame = HI_FROM_CLIENT.slice();
    connection.receiveRequest(data, frame);
    frame.fill(0);
    connection.accept();
    expect(only(eventsOf(connection), "text").text).toBe("hi");
  });

  it.each<
    [name: string, changes: Record<string, string | undefined>, line: object, status: number, rule: RuleName]
  >([
    ["another method", {}, { method: "POST" }, 405, "method"],
    ["HTTP/1.0", {}, { httpVersion: "1.0" }, 426, "http-1.0"],
    ["no Host", { Host: undefined }, {}, 400, "host"],
    ["no key", { "Sec-WebSocket-Key": undefined }, {}, 400, "key"],
    ["another version", { "Sec-WebSocket-Version": "8" }, {}, 426, "version"],
    ["a body", { "Content-Length": "3" }, {}, 400, "body"],
    ["another target", {}, { target: "*" }, 400, "target"],
  ])("is checked as its bytes would be: %s", (_name, changes, line, status, rule) => {
    const connection = new ServerConnection(testOptions());
    const headers = Object.entries({ ...GOOD_HEADERS, ...changes }).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    );
    connection.receiveRequest({ ...data, headers, ...line }, HI_FROM_CLIENT);
    const events = eventsOf(connection);
    expect(typesOf(events)).toBe("closing");
    expect(only(events, "closing").cause).toMatchObject({ by: "peer", rule, offset: undefined });
    expect(parseWritten(latin1Text(connection.takeOutput())).status).toBe(status);
    expect(connection.accept()).toBe(false);
    connection.receiveRequest({ ...data, headers }); // too late: nothing
    expect(eventsOf(connection)).toEqual([]);
  });

  it("reads the clock: a refusal's time counts from now", () => {
    const platform = testPlatform();
    const connection = new ServerConnection({ platform, halfClose: true, timeouts: { linger: 2000 } });
    platform.now = 6000;
    connection.receiveRequest({ ...data, method: "POST" });
    expect(connection.deadline).toBe(8000);
  });

  it.each<[name: string, prepare: (connection: ServerConnection) => void]>([
    ["bytes of one came", (connection) => connection.receive(latin1Bytes("G"))],
    [
      "bytes of one came and were parsed",
      (connection) => {
        connection.receive(latin1Bytes("G"));
        eventsOf(connection);
      },
    ],
    ["a request awaits its answer", (connection) => connection.receiveRequest(data)],
    [
      "the connection is open",
      (connection) => {
        connection.receiveRequest(data);
        connection.accept();
      },
    ],
  ])("throws once there is a request: %s", (_name, prepare) => {
    const connection = new ServerConnection(testOptions());
    prepare(connection);
    const { state, outputSize } = connection;
    expect(() => connection.receiveRequest(data, HI_FROM_CLIENT)).toThrow(
      expect.objectContaining({ name: "UsageError", code: "bad-state" }),
    );
    expect(connection).toMatchObject({ state, outputSize });
  });
});

describe("a request's headers", () => {
  it("are looked up in any case, joined, and not through prototypes", () => {
    const connection = new ServerConnection(testOptions());
    connection.receive(latin1Bytes(upgradeRequest({ "X-A": ["1", "2"], __proto__x: "p", constructor: "c" })));
    const { request } = only(eventsOf(connection), "request");
    expect(request.header("x-a")).toBe("1, 2");
    expect(request.header("X-A")).toBe("1, 2");
    expect(request.header("x-b")).toBeUndefined();
    expect(request.header("toString")).toBeUndefined();
    expect(request.header("constructor")).toBe("c");
    expect(headerValue(request.headers, "HOST")).toBe("example.com");
    const crumbs = [
      ["cookie", "a=1"],
      ["Cookie", "b=2"],
      ["X-List", "a"],
      ["x-list", "b"],
    ] as const;
    expect(headerValue(crumbs, "Cookie")).toBe("a=1; b=2"); // RFC 9113 8.2.3
    expect(headerValue(crumbs, "x-list")).toBe("a, b"); // RFC 9110 5.3
  });

  it("are a list of the caller's own each time", () => {
    const connection = new ServerConnection(testOptions());
    connection.receive(latin1Bytes(upgradeRequest()));
    const { request } = only(eventsOf(connection), "request");
    const { headers } = request;
    expect(headers).toEqual(Object.entries(GOOD_HEADERS));
    (headers as unknown[]).length = 0;
    expect(request.headers).toEqual(Object.entries(GOOD_HEADERS));
  });
});
