// What the tests of the opening handshakes share: text as bytes, requests and responses, ways to deliver bytes.
import type { ConnectionEvent, Options } from "../../src/index.js";
import { headerValue, headerValues } from "../../src/index.js";
import { acceptFor } from "../../src/handshake/key.js";

/** The key of RFC 6455 1.3, and its answer. */
export const SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ==";
export const SAMPLE_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/** A message "hi" as a client frames it (masked with zeros), and as a server does. */
export const HI_FROM_CLIENT: Uint8Array = Uint8Array.of(0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69);
export const HI_FROM_SERVER: Uint8Array = Uint8Array.of(0x81, 0x02, 0x68, 0x69);

/** Each character as one byte. */
export function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function latin1Text(chunks: readonly Uint8Array[] | undefined): string {
  return (chunks ?? []).map((chunk) => Buffer.from(chunk).toString("latin1")).join("");
}

export function joined(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  return Buffer.concat(parts.map((part) => (typeof part === "string" ? latin1Bytes(part) : part)));
}

/** A head: the start line, header lines, the empty line. */
export function head(...lines: readonly string[]): string {
  return [...lines, "", ""].join("\r\n");
}

/** The header lines of a valid request. */
export const GOOD_HEADERS: Readonly<Record<string, string>> = {
  Host: "example.com",
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Key": SAMPLE_KEY,
  "Sec-WebSocket-Version": "13",
};

/** A valid request but for `changes` (undefined drops the header, a list doubles it) and `more` lines at the end. */
export function upgradeRequest(
  changes: Readonly<Record<string, string | readonly string[] | undefined>> = {},
  { line = "GET /chat HTTP/1.1", more = [] as readonly string[] } = {},
): string {
  return head(line, ...headerLines({ ...GOOD_HEADERS, ...changes }), ...more);
}

/** A valid response to `key` but for `changes`. */
export function upgradeResponse(
  key: string,
  changes: Readonly<Record<string, string | readonly string[] | undefined>> = {},
  { line = "HTTP/1.1 101 Switching Protocols", more = [] as readonly string[] } = {},
): string {
  const good = { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Accept": acceptFor(key) };
  return head(line, ...headerLines({ ...good, ...changes }), ...more);
}

function headerLines(headers: Readonly<Record<string, string | readonly string[] | undefined>>): string[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    value === undefined
      ? []
      : (typeof value === "string" ? [value] : value).map((each) => `${name}: ${each}`),
  );
}

/** A response or request as it was written. */
export interface WrittenMessage {
  readonly startLine: string;
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly header: (name: string) => string | undefined;
  readonly count: (name: string) => number;
  readonly body: string;
}

/** Takes apart what was written; throws unless it is a head with or without a body. */
export function parseWritten(text: string): WrittenMessage {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) throw new Error(`no head in ${JSON.stringify(text)}`);
  const [startLine = "", ...lines] = text.slice(0, end).split("\r\n");
  const headers = lines.map((line) => {
    const colon = line.indexOf(": ");
    if (colon < 1) throw new Error(`no header line: ${JSON.stringify(line)}`);
    return [line.slice(0, colon), line.slice(colon + 2)] as const;
  });
  return {
    startLine,
    status: Number(startLine.split(" ")[1]),
    headers,
    header: (name) => headerValue(headers, name),
    count: (name) => headerValues(headers, name).length,
    body: text.slice(end + 4),
  };
}

/** The part of a connection that bytes go into. */
export interface Sink {
  receive(bytes: Uint8Array): void;
  nextEvent(): ConnectionEvent | undefined;
  receiveEnd(): void;
}

/** How bytes may come in; whatever the way, the events must be the same. */
export const DELIVERIES: readonly (readonly [
  name: string,
  deliver: (to: Sink, bytes: Uint8Array) => ConnectionEvent[],
])[] = [
  [
    "whole",
    (to, bytes) => {
      to.receive(bytes);
      return eventsOf(to);
    },
  ],
  [
    "byte by byte",
    (to, bytes) => {
      const events: ConnectionEvent[] = [];
      for (let i = 0; i < bytes.length; i++) {
        to.receive(bytes.subarray(i, i + 1));
        events.push(...eventsOf(to));
      }
      return events;
    },
  ],
  [
    "byte by byte, read at the end",
    (to, bytes) => {
      for (let i = 0; i < bytes.length; i++) to.receive(bytes.subarray(i, i + 1));
      return eventsOf(to);
    },
  ],
];

export function eventsOf(from: Pick<Sink, "nextEvent">): ConnectionEvent[] {
  const events: ConnectionEvent[] = [];
  for (let event = from.nextEvent(); event !== undefined; event = from.nextEvent()) events.push(event);
  return events;
}

/** The event of that type, which must be there exactly once. */
export function only<T extends ConnectionEvent["type"]>(
  events: readonly ConnectionEvent[],
  type: T,
): Extract<ConnectionEvent, { type: T }> {
  const found = events.filter((event) => event.type === type);
  if (found.length !== 1) {
    throw new Error(`${found.length} of ${type} in ${JSON.stringify(events.map((event) => event.type))}`);
  }
  return found[0] as Extract<ConnectionEvent, { type: T }>;
}

export function typesOf(events: readonly ConnectionEvent[]): string {
  return events.map((event) => event.type).join(" ");
}

/** Entropy that repeats itself: a counter, scattered. And a clock that is set by hand. */
export function testPlatform(): { random: () => number; clock: () => number; now: number } {
  let count = 0;
  const platform = {
    now: 1000,
    random: () => Math.imul(++count, 0x9e3779b1),
    clock: () => platform.now,
  };
  return platform;
}

/** Options with a fresh platform that half-closes. */
export function testOptions(options: Options = {}): Options {
  return { platform: testPlatform(), halfClose: true, ...options };
}

/** Lets time pass until nothing is waited for any more; a deadline may move later a few times, not for ever. */
export function letTimePass(
  connection: { readonly deadline: number | undefined; handleTimeout(): void },
  platform: { now: number },
): void {
  for (let round = 0; connection.deadline !== undefined; round++) {
    if (round === 5) throw new Error("the deadline moves for ever");
    platform.now = Math.max(platform.now, connection.deadline);
    connection.handleTimeout();
  }
}
