import { describe, expect, it } from "vitest";
import type {
  AcceptOptions,
  ClientRequest,
  HeaderInput,
  Options,
  RejectOptions,
  RequestData,
  UsageCode,
} from "../../../src/index.js";
import { ClientConnection, RULES, ServerConnection, UsageError } from "../../../src/index.js";
import {
  eventsOf,
  GOOD_HEADERS,
  head,
  latin1Bytes,
  latin1Text,
  testOptions,
  testPlatform,
  typesOf,
  upgradeRequest,
} from "../../support/http.js";

// A caller's mistake throws at once, says what to do, sends nothing and changes nothing (DESIGN.md, "Mistakes and races").

/** What JavaScript lets through and TypeScript does not. */
function untyped(value: unknown): never {
  return value as never;
}

function thrown(call: () => unknown): UsageError {
  try {
    call();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function expectMistake(call: () => unknown, code: UsageCode): void {
  const error = thrown(call);
  expect(error.code).toBe(code);
  expect(error.name).toBe("UsageError");
  expect(error.message.length).toBeGreaterThan(10);
  expect(error.message).not.toMatch(/[\r\n\0]/);
}

interface Look {
  readonly state: string;
  readonly transport: string;
  readonly outputSize: number;
  readonly wantsInput: boolean;
  readonly deadline: number | undefined;
}

function look({ state, transport, outputSize, wantsInput, deadline }: Look): Look {
  return { state, transport, outputSize, wantsInput, deadline };
}

/** Headers that no call takes. */
const BAD_HEADERS: readonly [name: string, headers: HeaderInput][] = [
  ["CR LF in a value", { "X-Y": "a\r\nEvil: b" }],
  ["CR in a value", { "X-Y": "a\rb" }],
  ["LF in a value", { "X-Y": "a\nb" }],
  ["LF at the end of a value", { "X-Y": "a\n" }],
  ["NUL in a value", { "X-Y": "a\0" }],
  ["another control character in a value", { "X-Y": "a\x1b" }],
  ["DEL in a value", { "X-Y": "\x7f" }],
  ["a value beyond Latin-1", { "X-Y": "\u20ac" }],
  ["a character whose low byte is LF", { "X-Y": "\u010a" }],
  ["CR LF in the second value", { "X-Y": ["a", "b\r\nc"] }],
  ["CR LF in a list's value", [["X-Y", "a\r\n"]]],
  ["CR LF in a name", { "X\r\nY": "a" }],
  ["LF in a list's name", [["X\n", "a"]]],
  ["NUL in a name", { "X\0": "a" }],
  ["a space in a name", { "X Y": "a" }],
  ["a space after a name", { "X ": "a" }],
  ["a colon in a name", { "X:": "a" }],
  ["an empty name", { "": "a" }],
  ["a name beyond ASCII", { "X\u00e9": "a" }],
  ["a name whose low byte is a letter", { "\u0141": "a" }],
  ["a number for a value", untyped({ "X-Y": 5 })],
  ["null for a value", untyped({ "X-Y": null })],
  ["a number in a list of values", untyped({ "X-Y": ["a", 5] })],
  ["a string for the headers", untyped("X-Y: a")],
  ["a number for the headers", untyped(5)],
  ["null for the headers", untyped(null)],
  ["CR LF in a Map's value", new Map([["X-Y", "a\r\n"]])],
  ["no value in a list", untyped([["X-Y"]])],
  ["a number for a name", untyped([[5, "a"]])],
];

const FRAMING = ["Content-Length", "content-length", "Transfer-Encoding", "Connection", "CONNECTION"];
const RESERVED = [
  ...FRAMING,
  "Upgrade",
  "upgrade",
  "Sec-WebSocket-Accept",
  "Sec-WebSocket-Key",
  "Sec-WebSocket-Version",
  "Sec-WebSocket-Protocol",
  "sec-websocket-extensions",
  "SEC-WEBSOCKET-ANYTHING",
];

describe("a server's answer", () => {
  function requested(options: Options = {}): ServerConnection {
    const connection = new ServerConnection(testOptions(options));
    connection.receive(latin1Bytes(upgradeRequest({ "Sec-WebSocket-Protocol": "chat, superchat" })));
    expect(typesOf(eventsOf(connection))).toBe("request");
    return connection;
  }

  const accepts: readonly [name: string, options: AcceptOptions, code: UsageCode][] = [
    ["RFC 6455 4.2.2: a subprotocol that was not offered", { subprotocol: "other" }, "bad-subprotocol"],
    ["RFC 6455 4.2.2: a subprotocol in another case", { subprotocol: "Chat" }, "bad-subprotocol"],
    ["an empty subprotocol", { subprotocol: "" }, "bad-subprotocol"],
    ["two subprotocols", { subprotocol: "chat, superchat" }, "bad-subprotocol"],
    ["a subprotocol with CR LF", { subprotocol: "chat\r\nEvil: x" }, "bad-subprotocol"],
    ["a subprotocol with NUL", { subprotocol: "chat\0" }, "bad-subprotocol"],
    ["a list for a subprotocol", { subprotocol: untyped(["chat"]) }, "bad-subprotocol"],
    ["null for a subprotocol", { subprotocol: untyped(null) }, "bad-subprotocol"],
    ...BAD_HEADERS.map(([name, headers]): [string, AcceptOptions, UsageCode] => [
      name,
      { headers },
      "bad-header",
    ]),
    ...RESERVED.map((name): [string, AcceptOptions, UsageCode] => [
      `the handshake's own header ${name}`,
      { headers: { [name]: "x" } },
      "bad-header",
    ]),
    ["the handshake's own header in a list", { headers: [["upgrade", "x"]] }, "bad-header"],
    ["a good header before a bad one", { headers: { A: "b", "X-Y": "\n" } }, "bad-header"],
  ];

  describe.each<[string, Options]>([
    ["in bytes", {}],
    ["as data", { http: "external" }],
  ])("%s", (_http, options) => {
    const start = (): ServerConnection => {
      if (options.http !== "external") return requested(options);
      const connection = new ServerConnection(testOptions(options));
      connection.receiveRequest({
        method: "GET",
        target: "/",
        headers: [...Object.entries(GOOD_HEADERS), ["Sec-WebSocket-Protocol", "chat, superchat"]],
      });
      expect(typesOf(eventsOf(connection))).toBe("request");
      return connection;
    };

    it.each(accepts)("accept(): %s", (_name, given, code) => {
      const connection = start();
      const before = look(connection);
      expectMistake(() => connection.accept(given), code);
      expect(look(connection)).toEqual(before);
      expect(connection.response).toBeUndefined();
      expect(eventsOf(connection)).toEqual([]);
      // The request still awaits its answer, which is as if nothing had been.
      expect(connection.accept({ subprotocol: "chat" })).toBe(true);
      const untouched = start();
      untouched.accept({ subprotocol: "chat" });
      expect(latin1Text(connection.takeOutput())).toBe(latin1Text(untouched.takeOutput()));
      expect(connection.response).toEqual(untouched.response);
      expect(typesOf(eventsOf(connection))).toBe("open");
    });

    it.each<[name: string, given: RejectOptions, code: UsageCode]>([
      ...[0, 100, 101, 199, 200, 204, 299, 600, 1000, -403, 403.5, NaN, Infinity].map(
        (status): [string, RejectOptions, UsageCode] => [`the status ${status}`, { status }, "bad-argument"],
      ),
      ["a string for the status", { status: untyped("403") }, "bad-argument"],
      ["no status", untyped({}), "bad-argument"],
      ["a number for the body", { status: 403, body: untyped(5) }, "bad-argument"],
      ["null for the body", { status: 403, body: untyped(null) }, "bad-argument"],
      ["a list for the body", { status: 403, body: untyped([1, 2]) }, "bad-argument"],
      ["an ArrayBuffer for the body", { status: 403, body: untyped(new ArrayBuffer(1)) }, "bad-argument"],
      ["words for the body", { status: 403, body: untyped(new Uint16Array(1)) }, "bad-argument"],
      ...BAD_HEADERS.map(([name, headers]): [string, RejectOptions, UsageCode] => [
        name,
        { status: 403, headers },
        "bad-header",
      ]),
      ...FRAMING.map((name): [string, RejectOptions, UsageCode] => [
        `the header ${name}, which says where the response ends`,
        { status: 403, headers: { [name]: "0" } },
        "bad-header",
      ]),
    ])("reject(): %s", (_name, given, code) => {
      const connection = start();
      const before = look(connection);
      expectMistake(() => connection.reject(given), code);
      expect(look(connection)).toEqual(before);
      expect(connection.response).toBeUndefined();
      expect(eventsOf(connection)).toEqual([]);
      expect(connection.accept()).toBe(true);
      expect(typesOf(eventsOf(connection))).toBe("open");
    });
  });

  it("names what was offered", () => {
    const connection = requested();
    const { message } = thrown(() => connection.accept({ subprotocol: "other" }));
    expect(message).toContain('"other"');
    expect(message).toContain('["chat","superchat"]');
  });

  it.each<[name: string, bytes: string]>([
    ["before any byte", ""],
    ["inside the head", "GET / HTTP/1.1\r\n"],
  ])("before the request: %s", (_name, bytes) => {
    const connection = new ServerConnection(testOptions());
    connection.receive(latin1Bytes(bytes));
    eventsOf(connection);
    const before = look(connection);
    expectMistake(() => connection.accept(), "bad-state");
    expectMistake(() => connection.reject({ status: 403 }), "bad-state");
    expectMistake(() => connection.sendText("x"), "bad-state");
    expectMistake(() => connection.sendBinary(new Uint8Array(1)), "bad-state");
    expectMistake(() => connection.startMessage("text"), "bad-state");
    expectMistake(() => connection.ping(), "bad-state");
    expectMistake(() => connection.pong(), "bad-state");
    expect(look(connection)).toEqual(before);
    connection.receive(
      latin1Bytes(upgradeRequest().slice(bytes === "" ? 0 : "GET /chat HTTP/1.1\r\n".length)),
    );
    expect(typesOf(eventsOf(connection))).toBe("request");
  });

  it("between the request and its answer nothing can be sent", () => {
    const connection = requested();
    const before = look(connection);
    expectMistake(() => connection.sendText("x"), "bad-state");
    expectMistake(() => connection.startMessage("binary"), "bad-state");
    expectMistake(() => connection.ping(), "bad-state");
    expect(look(connection)).toEqual(before);
    expect(connection.accept()).toBe(true);
    expect(connection.sendText("x")).toBe(true);
  });

  it.each<[name: string, data: RequestData | undefined, more: unknown]>([
    ["a string for the bytes past the head", undefined, "abc"],
    ["a list for the bytes past the head", undefined, [1]],
    ["null for the bytes past the head", undefined, null],
  ])("receiveRequest(): %s", (_name, data, more) => {
    const good: RequestData = { method: "GET", target: "/", headers: Object.entries(GOOD_HEADERS) };
    const connection = new ServerConnection(testOptions());
    const before = look(connection);
    expectMistake(() => connection.receiveRequest(data ?? good, untyped(more)), "bad-argument");
    expect(look(connection)).toEqual(before);
    expect(eventsOf(connection)).toEqual([]);
    connection.receiveRequest(good);
    expect(typesOf(eventsOf(connection))).toBe("request");
  });

  it("receiveRequest(): an extended CONNECT that would have to be answered in HTTP/1.1", () => {
    const connection = new ServerConnection(testOptions());
    const before = look(connection);
    const request: RequestData = { method: "CONNECT", protocol: "websocket", target: "/", headers: [] };
    expectMistake(() => connection.receiveRequest(request), "bad-state");
    expect(look(connection)).toEqual(before);
  });

  it("receive(): a string where bytes are due", () => {
    const connection = new ServerConnection(testOptions());
    const before = look(connection);
    expectMistake(() => connection.receive(untyped("GET / HTTP/1.1")), "bad-argument");
    expectMistake(() => connection.receive(untyped([71])), "bad-argument");
    expectMistake(() => connection.receive(untyped(new ArrayBuffer(3))), "bad-argument");
    expect(look(connection)).toEqual(before);
  });

  it("receive() after receiveEnd()", () => {
    const connection = requested();
    connection.receiveEnd();
    expectMistake(() => connection.receive(new Uint8Array(1)), "bad-state");
    expect(connection.accept()).toBe(true);
  });
});

describe("a client's request", () => {
  const URL = "ws://example.com/";
  const asking = (more: Omit<ClientRequest, "url">): ClientRequest => ({ url: URL, ...more });

  it.each<[name: string, request: string | ClientRequest, code: UsageCode]>([
    ["an empty URL", "", "bad-url"],
    ["another scheme", "ftp://example.com/", "bad-url"],
    ["a fragment", "ws://example.com/#x", "bad-url"],
    ["an empty fragment", "ws://example.com/#", "bad-url"],
    ["user information", "ws://user:pass@example.com/", "bad-url"],
    ["a URL beyond ASCII", "ws://example.com/\u00e9", "bad-url"],
    ["a host beyond ASCII", "ws://ex\u00e4mple.com/", "bad-url"],
    ["CR LF in the path", "ws://example.com/\r\nEvil: x", "bad-url"],
    ["LF in the path", "ws://example.com/\nx", "bad-url"],
    ["NUL in the path", "ws://example.com/\0", "bad-url"],
    ["CR LF in the query", "ws://example.com/?\r\n", "bad-url"],
    ["CR LF in the host", "ws://example.com\r\nX: y/", "bad-url"],
    ["a space in the path", "ws://example.com/ HTTP/1.1", "bad-url"],
    ["no URL", untyped({}), "bad-argument"],
    ["a number for the URL", untyped({ url: 5 }), "bad-argument"],
    ["an empty subprotocol", asking({ subprotocols: [""] }), "bad-subprotocol"],
    ["RFC 6455 4.1: a subprotocol twice", asking({ subprotocols: ["a", "b", "a"] }), "bad-subprotocol"],
    ["RFC 6455 4.1: two in one", asking({ subprotocols: ["a, b"] }), "bad-subprotocol"],
    ["RFC 6455 4.1: a subprotocol that is no token", asking({ subprotocols: ["a b"] }), "bad-subprotocol"],
    ["a subprotocol with CR LF", asking({ subprotocols: ["a\r\nEvil: x"] }), "bad-subprotocol"],
    ["a subprotocol with LF at its end", asking({ subprotocols: ["a\n"] }), "bad-subprotocol"],
    ["a subprotocol with NUL", asking({ subprotocols: ["a\0"] }), "bad-subprotocol"],
    ["a subprotocol beyond ASCII", asking({ subprotocols: ["\u00e9"] }), "bad-subprotocol"],
    ["a string for the subprotocols", asking({ subprotocols: untyped("chat") }), "bad-subprotocol"],
    ["a number for a subprotocol", asking({ subprotocols: untyped([5]) }), "bad-subprotocol"],
    ["CR LF in the origin", asking({ origin: "https://a\r\nEvil: x" }), "bad-header"],
    ["NUL in the origin", asking({ origin: "\0" }), "bad-header"],
    [
      "the origin in two places",
      asking({ origin: "https://a", headers: { Origin: "https://a" } }),
      "bad-header",
    ],
    ["an origin beyond Latin-1", asking({ origin: "https://\u20ac" }), "bad-header"],
    ["a number for the origin", asking({ origin: untyped(5) }), "bad-header"],
    ...BAD_HEADERS.map(([name, headers]): [string, ClientRequest, UsageCode] => [
      name,
      asking({ headers }),
      "bad-header",
    ]),
    ...[...RESERVED, "Host", "HOST"].map((name): [string, ClientRequest, UsageCode] => [
      `the handshake's own header ${name}`,
      asking({ headers: { [name]: "x" } }),
      "bad-header",
    ]),
  ])("%s", (_name, request, code) => {
    expectMistake(() => new ClientConnection(request, testOptions()), code);
    expectMistake(() => new ClientConnection(request, testOptions({ http: "external" })), code);
  });

  it("RFC 6455 10.3: without entropy no client is built", () => {
    expectMistake(() => new ClientConnection(URL, {}), "no-entropy");
    expectMistake(() => new ClientConnection(URL, { platform: { clock: () => 0 } }), "no-entropy");
    expectMistake(() => new ClientConnection(URL, { http: "external" }), "no-entropy");
    expect(new ServerConnection().state).toBe("connecting");
  });

  it("before the response nothing can be sent", () => {
    const connection = new ClientConnection(URL, testOptions());
    const before = look(connection);
    expectMistake(() => connection.sendText("x"), "bad-state");
    expectMistake(() => connection.sendBinary(new Uint8Array(1)), "bad-state");
    expectMistake(() => connection.startMessage("text"), "bad-state");
    expectMistake(() => connection.ping(), "bad-state");
    expectMistake(() => connection.pong(), "bad-state");
    expectMistake(() => connection.close(1005), "bad-close-code");
    expectMistake(() => connection.close(undefined, "why"), "bad-reason");
    expectMistake(() => connection.receiveResponse({ status: 200, headers: [] }), "bad-state");
    expect(look(connection)).toEqual(before);
    expect(latin1Text(connection.takeOutput())).toMatch(/^GET \/ HTTP\/1\.1\r\n/);
  });

  it("while the body of a rejection is read nothing can be sent", () => {
    const connection = new ClientConnection(URL, testOptions());
    connection.receive(latin1Bytes(head("HTTP/1.1 403 x", "Content-Length: 1")));
    expect(eventsOf(connection)).toEqual([]);
    expectMistake(() => connection.sendText("x"), "bad-state");
    expect(connection.state).toBe("connecting");
  });
});

describe("options", () => {
  it.each<[name: string, options: Options]>([
    ["http", { http: untyped("2") }],
    ["text", { text: untyped("utf8") }],
    ["highWaterMark", { highWaterMark: -1 }],
    ["highWaterMark, not a number", { highWaterMark: NaN }],
    ["limits.head", { limits: { head: -1 } }],
    ["limits.headers", { limits: { headers: NaN } }],
    ["limits.body", { limits: { body: untyped("64") } }],
    ["limits.informational", { limits: { informational: -8 } }],
    ["limits.discard", { limits: { discard: untyped(null) } }],
    ["timeouts.handshake", { timeouts: { handshake: 0 } }],
    ["timeouts.handshake, not a number", { timeouts: { handshake: NaN } }],
    ["timeouts.linger", { timeouts: { linger: -1 } }],
  ])("%s", (_name, options) => {
    const platform = testPlatform();
    expectMistake(() => new ServerConnection({ platform, ...options }), "bad-option");
    expectMistake(() => new ClientConnection("ws://h/", { platform, ...options }), "bad-option");
  });
});

describe("the rules", () => {
  it.each(Object.entries(RULES))("%s cites a section and says something", (_name, rule) => {
    expect(rule.section).toMatch(/^RFC [0-9]{4} [0-9.]+$/);
    expect(rule.says.length).toBeGreaterThan(10);
    expect(rule.code).toBeGreaterThanOrEqual(400);
  });
});
