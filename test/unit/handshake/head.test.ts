import { describe, expect, it } from "vitest";
import type { RuleName } from "../../../src/index.js";
import { ClientConnection, headerValue, headerValues, ServerConnection } from "../../../src/index.js";
import { formatHead, HeadParser, judgeRequestLine, judgeStatusLine } from "../../../src/handshake/head.js";
import { checkHeaders, isHeaderValue, quote } from "../../../src/handshake/headers.js";
import { HandshakeRequest, isAuthority, splitTarget } from "../../../src/handshake/request.js";
import {
  isToken,
  listHas,
  parseTokenList,
  skipSpace,
  tokenEnd,
  trimSpace,
} from "../../../src/handshake/tokens.js";
import {
  DELIVERIES,
  eventsOf,
  head,
  HI_FROM_CLIENT,
  HI_FROM_SERVER,
  joined,
  latin1Bytes,
  only,
  testOptions,
  typesOf,
  upgradeRequest,
  upgradeResponse,
} from "../../support/http.js";

const LIMITS = { head: 16384, headers: 100 };

describe("HeadParser", () => {
  const parser = (limits = LIMITS): HeadParser => new HeadParser(limits, judgeRequestLine);
  const text = head("GET / HTTP/1.1", "Host: a", "X-Y:\t caf\u00e9 \t", "X-Z:", "x-y: b:c");

  it("reads a head and stops right behind it", () => {
    const subject = parser();
    const bytes = latin1Bytes(`--${text}GET`);
    expect(subject.read(bytes, 2, bytes.length)).toBe(2 + text.length);
    expect(subject).toMatchObject({ done: true, fault: undefined, startLine: "GET / HTTP/1.1" });
    expect(subject.headers).toEqual([
      ["Host", "a"],
      ["X-Y", "caf\u00e9"],
      ["X-Z", ""],
      ["x-y", "b:c"],
    ]);
    expect(headerValues(subject.headers, "X-y")).toEqual(["caf\u00e9", "b:c"]);
    expect(headerValue(subject.headers, "X-y")).toBe("caf\u00e9, b:c");
    expect(headerValue(subject.headers, "x")).toBeUndefined();
  });

  it("is the same for every cut in two, and reads nothing past the `end` it is given", () => {
    const bytes = latin1Bytes(`\r\n${text}`);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const subject = parser();
      expect(subject.read(bytes, 0, cut)).toBe(cut);
      expect(subject.done).toBe(cut === bytes.length);
      if (!subject.done) expect(subject.read(bytes, cut, bytes.length)).toBe(bytes.length);
      expect(subject).toMatchObject({ done: true, fault: undefined });
      expect(subject.headers).toHaveLength(4);
      expect(subject.headers[1]).toEqual(["X-Y", "caf\u00e9"]);
    }
  });

  it.each<[name: string, bytes: string, fault: RuleName]>([
    ["a bare LF", "GET / HTTP/1.1\r\nA: b\nC: d", "bad-line-end"],
    ["a bare CR", "GET / HTTP/1.1\r\nA: b\rC: d", "bad-line-end"],
    ["NUL", "GET / HTTP/1.1\r\nA: b\0C: d", "bad-header-line"],
    ["a folded line", "GET / HTTP/1.1\r\nA: b\r\n c\r\nD: e", "bad-header-line"],
    ["a request line of two words", "GET /\r\nA: b", "bad-request-line"],
  ])("a fault is found at the same byte for every cut in two: %s", (_name, given, fault) => {
    const bytes = latin1Bytes(given);
    const whole = parser();
    const at = whole.read(bytes, 0, bytes.length);
    expect(whole.fault).toBe(fault);
    for (let cut = 0; cut < bytes.length; cut++) {
      const subject = parser();
      let read = subject.read(bytes, 0, cut);
      if (subject.fault === undefined) read = subject.read(bytes, cut, bytes.length);
      expect(subject.fault).toBe(fault);
      expect(read).toBe(at);
    }
  });

  it("the rule for a control character in the first line is the caller's", () => {
    const subject = new HeadParser(LIMITS, judgeStatusLine);
    subject.read(latin1Bytes("HTTP/1.1 \0"), 0, 10);
    expect(subject.fault).toBe("bad-status-line");
  });

  it("a megabyte of one header, byte by byte, finishes", () => {
    const subject = parser({ head: Infinity, headers: 1 });
    const bytes = latin1Bytes(head("GET / HTTP/1.1", `A: ${"x".repeat(1024 * 1024)}`));
    for (let i = 0; i < bytes.length; i++) subject.read(bytes, i, i + 1);
    expect(subject.done).toBe(true);
    expect(subject.headers[0]?.[1]).toHaveLength(1024 * 1024);
  });
});

describe("the request line (RFC 9112 3)", () => {
  it.each<[line: string, fault: RuleName | undefined]>([
    ["GET / HTTP/1.1", undefined],
    ["GET / HTTP/1.0", undefined],
    ["GET / HTTP/1.9", undefined],
    ["M-SEARCH * HTTP/1.1", undefined],
    ["GET http://a/ HTTP/1.1", undefined],
    ["GET /%00 HTTP/1.1", undefined],
    ["", "bad-request-line"],
    ["GET", "bad-request-line"],
    ["GET /", "bad-request-line"],
    ["GET  HTTP/1.1", "bad-request-line"],
    [" GET / HTTP/1.1", "bad-request-line"],
    ["GET / HTTP/1.1 ", "bad-request-line"],
    ["GET / / HTTP/1.1", "bad-request-line"],
    ["G(T / HTTP/1.1", "bad-request-line"],
    ["GET /\u00a0 HTTP/1.1", "bad-request-line"],
    ["GET / HTTP/11", "bad-request-line"],
    ["GET / HTTP/1.", "bad-request-line"],
    ["GET / HTTP/a.1", "bad-request-line"],
    ["GET / HTTPS/1.1", "bad-request-line"],
    ["GET / XHTTP/1.1", "bad-request-line"],
    ["GET / HTTP/2.0", "http-version"],
    ["GET / HTTP/0.9", "http-version"],
    ["GET / HTTP/9.9", "http-version"],
  ])("%j", (line, fault) => {
    expect(judgeRequestLine(line)).toBe(fault);
  });
});

describe("the status line (RFC 9112 4)", () => {
  it.each<[line: string, fault: RuleName | undefined]>([
    ["HTTP/1.1 101 Switching Protocols", undefined],
    ["HTTP/1.0 200 OK", undefined],
    ["HTTP/1.1 101 ", undefined],
    ["HTTP/1.1 101", undefined],
    ["HTTP/1.1 999  two\tspaces ", undefined],
    ["HTTP/1.1 101 \u0080\u00ff", undefined],
    ["", "bad-status-line"],
    ["HTTP/1.1", "bad-status-line"],
    ["HTTP/1.1 ", "bad-status-line"],
    ["HTTP/1.1 10", "bad-status-line"],
    ["HTTP/1.1 1010", "bad-status-line"],
    ["HTTP/1.1 000", "bad-status-line"],
    ["HTTP/1.1 101x", "bad-status-line"],
    ["HTTP/1.1 101\tx", "bad-status-line"],
    ["HTTP/1.1 1e2 x", "bad-status-line"],
    ["HTTP/1.1  101 x", "bad-status-line"],
    ["ICY 200 OK", "bad-status-line"],
    ["http/1.1 101 x", "bad-status-line"],
    ["HTTP/2 101 x", "bad-status-line"],
    ["HTTP/2.0 101 x", "http-version"],
    ["HTTP/0.9 101 x", "http-version"],
  ])("%j", (line, fault) => {
    expect(judgeStatusLine(line)).toBe(fault);
  });
});

describe("where the head ends, the frames begin: places count from the first byte of the stream", () => {
  const UNMASKED = Uint8Array.of(0x81, 0x01, 0x78);

  it.each(DELIVERIES)("server, %s", (_delivery, deliver) => {
    const request = `\r\n${upgradeRequest()}`;
    const connection = new ServerConnection(testOptions());
    const events = deliver(connection, joined(request, HI_FROM_CLIENT, UNMASKED));
    expect(typesOf(events)).toBe("request");
    connection.accept();
    events.push(...eventsOf(connection));
    expect(typesOf(events)).toBe("request open text closing");
    const { rule, offset } = only(events, "closing").cause;
    expect(rule).toBe("unmasked-frame");
    expect(offset).toBe(request.length + HI_FROM_CLIENT.length + 1);
  });

  it.each(DELIVERIES)("client, %s", (_delivery, deliver) => {
    const connection = new ClientConnection("ws://h/", testOptions());
    connection.takeOutput();
    const key = headerValue(connection.request.headers, "sec-websocket-key") ?? "";
    const response = head("HTTP/1.1 100 x") + upgradeResponse(key);
    const events = deliver(connection, joined(response, HI_FROM_SERVER, HI_FROM_CLIENT));
    expect(typesOf(events)).toBe("open text closing");
    const { rule, offset } = only(events, "closing").cause;
    expect(rule).toBe("masked-frame");
    expect(offset).toBe(response.length + HI_FROM_SERVER.length + 1);
  });

  it("server: every cut in two", () => {
    const bytes = joined(upgradeRequest({ Cookie: "caf\u00e9" }), HI_FROM_CLIENT);
    for (let cut = 1; cut < bytes.length; cut++) {
      const connection = new ServerConnection(testOptions());
      connection.receive(bytes.subarray(0, cut));
      const events = eventsOf(connection);
      connection.receive(bytes.subarray(cut));
      events.push(...eventsOf(connection));
      connection.accept();
      events.push(...eventsOf(connection));
      expect(typesOf(events)).toBe("request open text");
      expect(only(events, "request").request.header("cookie")).toBe("caf\u00e9");
    }
  });
});

describe("bytes that are handed in stay the caller's unless they are owned", () => {
  it.each([true, false])("owned: %s", (owned) => {
    const connection = new ServerConnection(testOptions());
    const bytes = joined(upgradeRequest(), HI_FROM_CLIENT);
    connection.receive(bytes, owned);
    if (!owned) bytes.fill(0);
    expect(typesOf(eventsOf(connection))).toBe("request");
    connection.accept();
    expect(typesOf(eventsOf(connection))).toBe("open text");
  });
});

describe("the request target (RFC 9112 3.2)", () => {
  it.each<[target: string, parts: ReturnType<typeof splitTarget>]>([
    ["/", { authority: undefined, path: "/", query: "" }],
    ["/a/b?c?d", { authority: undefined, path: "/a/b", query: "c?d" }],
    ["/?", { authority: undefined, path: "/", query: "" }],
    ["//a/b", { authority: undefined, path: "//a/b", query: "" }],
    ["/http://a/", { authority: undefined, path: "/http://a/", query: "" }],
    ["http://a", { authority: "a", path: "/", query: "" }],
    ["HTTPS://a:1/b?c", { authority: "a:1", path: "/b", query: "c" }],
    ["ws://a?b", { authority: "a", path: "/", query: "b" }],
    ["wss://[::1]/b", { authority: "[::1]", path: "/b", query: "" }],
    ["", undefined],
    ["*", undefined],
    ["?a", undefined],
    ["a/b", undefined],
    ["a:80", undefined],
    ["/a#b", undefined],
    ["/a?b#c", undefined],
    ["http://", undefined],
    ["http:///a", undefined],
    ["http:/a", undefined],
    ["ftp://a/", undefined],
  ])("%j", (target, parts) => {
    expect(splitTarget(target)).toEqual(parts);
  });

  it.each<[authority: string, valid: boolean]>([
    ["example.com", true],
    ["example.com:", true],
    ["example.com:0", true],
    ["example.com:65535", true],
    ["a_b", true],
    ["a%20b", true],
    ["[::1]", true],
    ["[::ffff:127.0.0.1]:80", true],
    ["", false],
    [":80", false],
    ["a:65536", false],
    ["a:123456", false],
    ["a:8a", false],
    ["a:1:2", false],
    ["a@b", false],
    ["a/b", false],
    ["a b", false],
    ["a\\b", false],
    ["[a", false],
    ["[]", false],
    ["::1", false],
    ["\u00e9", false],
    ["a\n", false],
  ])("the authority %j (RFC 3986 3.2.2)", (authority, valid) => {
    expect(isAuthority(authority)).toBe(valid);
  });

  it("a request made by hand, with a target that is none", () => {
    const request = new HandshakeRequest({ method: "CONNECT", target: "*", headers: [] }, []);
    expect(request).toMatchObject({ path: "*", query: "", authority: "", httpVersion: "2" });
  });
});

describe("the small grammars (RFC 9110 5.6)", () => {
  it("a token's characters, one by one", () => {
    for (let code = 0; code < 0x180; code++) {
      const character = String.fromCharCode(code);
      const expected = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/.test(character);
      expect(isToken(character)).toBe(expected);
      expect(isToken(`a${character}`)).toBe(expected);
      expect(tokenEnd(`a${character}`, 0)).toBe(expected ? 2 : 1);
    }
    expect(isToken("")).toBe(false);
  });

  it("a value's characters, one by one (RFC 9110 5.5)", () => {
    for (let code = 0; code < 0x180; code++) {
      const expected = code === 9 || (code >= 0x20 && code <= 0xff && code !== 0x7f);
      expect(isHeaderValue(`a${String.fromCharCode(code)}`)).toBe(expected);
    }
    expect(isHeaderValue("")).toBe(true);
  });

  it.each<[field: string, list: string[] | undefined]>([
    ["", []],
    ["a", ["a"]],
    [" a\t,b ,, c,", ["a", "b", "c"]],
    ["a b", undefined],
    ["a;b", undefined],
    [",;", undefined],
  ])("a list of tokens: %j", (field, list) => {
    expect(parseTokenList(field)).toEqual(list);
  });

  it.each<[field: string | undefined, has: boolean]>([
    [undefined, false],
    ["", false],
    ["upgrade", true],
    ["a, UpGrade\t,b", true],
    ["up grade", false],
    ["upgrade;q=1", false],
    ["\u00a0upgrade", false],
    ["upgrade\u00a0", false],
  ])("a list has an element: %j", (field, has) => {
    expect(listHas(field, "upgrade")).toBe(has);
  });

  it("white space is spaces and tabs, nothing else", () => {
    expect(trimSpace(" \t a \t b\t ")).toBe("a \t b");
    expect(trimSpace(" \t ")).toBe("");
    expect(trimSpace("\u00a0a\u00a0")).toBe("\u00a0a\u00a0");
    expect(skipSpace("a \t b", 1)).toBe(4);
    expect(skipSpace("  ", 0)).toBe(2);
  });
});

describe("heads and headers are written", () => {
  it("Latin-1, byte by byte, back and forth", () => {
    const value = String.fromCharCode(...Array.from({ length: 0x60 }, (_, index) => 0xa0 + index));
    const head = formatHead("HTTP/1.1 101 x", [
      ["A", value],
      ["B", ""],
    ]);
    expect(head).toBe(`HTTP/1.1 101 x\r\nA: ${value}\r\nB: \r\n\r\n`);
  });

  it("an application's headers are copied", () => {
    const values = ["1", "2"];
    const list = checkHeaders({ A: values }, () => false);
    values.push("3");
    expect(list).toEqual([
      ["A", "1"],
      ["A", "2"],
    ]);
    expect(checkHeaders(undefined, () => true)).toEqual([]);
    expect(() => checkHeaders({ Abc: "x" }, (name) => name === "abc")).toThrow(/Abc/);
  });

  it("values in messages are short, and on one line", () => {
    expect(quote("a\r\nb")).toBe('"a\\r\\nb"');
    expect(quote("x".repeat(500)).length).toBeLessThanOrEqual(80);
    expect(quote(undefined)).toBe("undefined");
    expect(quote(["a"])).toBe('["a"]');
  });
});
