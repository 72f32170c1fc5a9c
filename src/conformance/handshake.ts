import type { ConformanceCase } from "./case.js";
import { framesTo, join, latin1, TEXT } from "./wire.js";

const REQUEST: Fields = {
  Host: "example.com",
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", // RFC 6455 1.3
  "Sec-WebSocket-Version": "13",
};

const RESPONSE: Fields = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Accept": "{accept}",
};

/** Header fields: undefined leaves one out, a list writes it once for each element. */
type Fields = Readonly<Record<string, string | readonly string[] | undefined>>;

function head(line: string, fields: Fields): string {
  const written = Object.entries(fields).flatMap(([name, value]) =>
    (value === undefined ? [] : typeof value === "string" ? [value] : value).map((one) => `${name}: ${one}`),
  );
  return `${[line, ...written].join("\r\n")}\r\n\r\n`;
}

const request = (fields: Fields = {}, line = "GET /chat HTTP/1.1"): string =>
  head(line, { ...REQUEST, ...fields });
const response = (fields: Fields = {}, line = "HTTP/1.1 101 Switching Protocols"): string =>
  head(line, { ...RESPONSE, ...fields });

type Row = readonly [section: string, name: string, head: string];

const REQUESTS_THAT_OPEN: readonly Row[] = [
  ["RFC 6455 1.3", "the RFC's sample", request()],
  ["RFC 6455 4.2.1", "tokens in any case", request({ Upgrade: "WebSocket", Connection: "UPGRADE" })],
  ["RFC 9110 5.1", "header names in any case", request().replaceAll(/^[\w-]+:/gm, (n) => n.toUpperCase())],
  ["RFC 9112 5.1", "no white space behind the colon", request().replaceAll(": ", ":")],
  ["RFC 9112 5.1", "white space around values", request().replaceAll(/: (.*)/g, ": \t $1 \t ")],
  ["RFC 9110 7.6.1", "Connection lists more", request({ Connection: "keep-alive, Upgrade" })],
  ["RFC 9110 5.6.1", "Connection has empty elements", request({ Connection: ",\t, upgrade ,," })],
  ["RFC 9110 5.3", "Connection stands twice", request({ Connection: ["keep-alive", "Upgrade"] })],
  ["RFC 9110 7.8", "Upgrade lists more", request({ Upgrade: "h2c, websocket" })],
  ["RFC 9112 2.2", "an empty line comes before", `\r\n${request()}`],
  ["RFC 9112 3.2.2", "the target is in absolute form", request({}, "GET http://example.com/chat HTTP/1.1")],
  ["RFC 9110 2.5", "a later minor version", request({}, "GET /chat HTTP/1.2")],
  ["RFC 9110 5.5", "a value in Latin-1", request({ "X-Name": "caf\u00e9" })],
  ["RFC 9110 5.5", "an empty value", request({ "X-Empty": "" })],
  ["RFC 6455 4.2.2", "subprotocols are offered", request({ "Sec-WebSocket-Protocol": "chat, superchat" })],
  ["RFC 6455 9.1", "an unknown extension", request({ "Sec-WebSocket-Extensions": 'x-a; b="c"; e, x-f' })],
];

const REQUESTS_REFUSED: readonly Row[] = [
  ["RFC 6455 4.2.1", "the method is not GET", request({}, "POST /chat HTTP/1.1")],
  ["RFC 6455 4.2.1", "HTTP/1.0", request({}, "GET /chat HTTP/1.0")],
  ["RFC 9112 3", "the request line has no version", request({}, "GET /chat")],
  ["RFC 9112 3.2", "no Host", request({ Host: undefined })],
  ["RFC 9112 3.2", "two Hosts", request({ Host: ["example.com", "example.org"] })],
  ["RFC 6455 4.2.1", "no Upgrade", request({ Upgrade: undefined })],
  ["RFC 6455 4.2.1", "an Upgrade to something else", request({ Upgrade: "h2c" })],
  ["RFC 6455 4.2.1", "no Connection", request({ Connection: undefined })],
  ["RFC 6455 4.2.1", "Connection does not list Upgrade", request({ Connection: "keep-alive" })],
  ["RFC 6455 4.2.1", "no key", request({ "Sec-WebSocket-Key": undefined })],
  ["RFC 6455 4.2.1", "a key of 15 bytes", request({ "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j" })],
  [
    "RFC 6455 4.2.1",
    "a key that is not base64",
    request({ "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZ*==" }),
  ],
  [
    "RFC 6455 11.3.1",
    "two keys",
    request({ "Sec-WebSocket-Key": ["dGhlIHNhbXBsZSBub25jZQ==", "AQIDBAUGBwgJCgsMDQ4PEA=="] }),
  ],
  ["RFC 6455 4.2.1", "no version", request({ "Sec-WebSocket-Version": undefined })],
  ["RFC 6455 4.4", "an older version", request({ "Sec-WebSocket-Version": "8" })],
  ["RFC 6455 4.4", "a later version", request({ "Sec-WebSocket-Version": "14" })],
  ["RFC 6455 9.1", "malformed extensions", request({ "Sec-WebSocket-Extensions": "x-a; =b" })],
  ["RFC 9112 5.1", "white space before a colon", request().replace("Host:", "Host :")],
  ["RFC 9112 5.2", "a folded line", request({ "X-Folded": "a\r\n b" })],
  ["RFC 9110 5.6.2", "a header name that is no token", request({ "X Y": "z" })],
  ["RFC 9110 5.5", "NUL in a value", request({ "X-Nul": "a\0b" })],
];

const RESPONSES_THAT_OPEN: readonly Row[] = [
  ["RFC 6455 1.3", "the RFC's sample", response()],
  ["RFC 6455 4.1", "tokens in any case", response({ Upgrade: "WebSocket", Connection: "uPGRADE" })],
  ["RFC 9110 7.6.1", "Connection lists more", response({ Connection: "keep-alive, Upgrade" })],
  ["RFC 9112 4", "an empty reason phrase", response({}, "HTTP/1.1 101 ")],
  [
    "RFC 9110 15.2",
    "100 and 103 come before",
    head("HTTP/1.1 100 Continue", {}) + head("HTTP/1.1 103 ", { Link: "</a>" }) + response(),
  ],
];

const RESPONSES_REFUSED: readonly Row[] = [
  ["RFC 6455 4.1", "the status is 200", response({ "Content-Length": "0" }, "HTTP/1.1 200 OK")],
  ["RFC 6455 4.1", "the status is 404", head("HTTP/1.1 404 Not Found", { "Content-Length": "0" })],
  ["RFC 9110 7.8", "HTTP/1.0", response({}, "HTTP/1.0 101 Switching Protocols")],
  ["RFC 9112 4", "a malformed status line", response({}, "HTTP/1.1 1O1 Switching Protocols")],
  ["RFC 6455 4.1", "no Upgrade", response({ Upgrade: undefined })],
  ["RFC 6455 4.1", "Upgrade is not websocket alone", response({ Upgrade: "websocket, h2c" })],
  ["RFC 6455 4.1", "no Connection", response({ Connection: undefined })],
  ["RFC 6455 4.1", "Connection does not list Upgrade", response({ Connection: "keep-alive" })],
  ["RFC 6455 4.1", "no accept", response({ "Sec-WebSocket-Accept": undefined })],
  [
    "RFC 6455 4.1",
    "an accept for another key",
    response({ "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" }),
  ],
  ["RFC 6455 4.1", "an extension that was not offered", response({ "Sec-WebSocket-Extensions": "x-a" })],
  ["RFC 6455 4.1", "a subprotocol that was not offered", response({ "Sec-WebSocket-Protocol": "chat" })],
  ["RFC 9112 5.1", "white space before a colon", response().replace("Upgrade:", "Upgrade :")],
];

function cases(role: "server" | "client", opened: boolean, rows: readonly Row[]): ConformanceCase[] {
  return rows.map(([section, name, text]) => ({
    group: "handshake",
    name,
    section,
    role,
    begins: "head",
    // What was opened has its first message right behind the head: no byte of it may be lost.
    receives: join([
      latin1(text),
      opened ? framesTo(role, [{ opcode: TEXT, payload: "behind it" }]) : latin1(""),
    ]),
    expected: { opened, messages: opened ? ["behind it"] : [], sends: [], code: 1006 },
  }));
}

/** The opening handshake (RFC 6455 4) over HTTP/1.1 (RFC 9112). */
export const HANDSHAKE_CASES: readonly ConformanceCase[] = [
  ...cases("server", true, REQUESTS_THAT_OPEN),
  ...cases("server", false, REQUESTS_REFUSED),
  ...cases("client", true, RESPONSES_THAT_OPEN),
  ...cases("client", false, RESPONSES_REFUSED),
];
