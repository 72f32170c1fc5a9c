import { acceptFor, isKey } from "../handshake/key.js";
import type { ConformanceCase, ConformanceReply } from "./case.js";
import { CLOSE, latin1, latin1Text, parseFrames, PONG, toHex } from "./wire.js";

/** One connection of the implementation that is tested, on a stream of bytes that the runner writes. */
export interface ConformanceSubject {
  /** A client that begins with the opening handshake: the bytes of its request, which it sent at once. */
  readonly request?: Uint8Array | undefined;
  /** Hands over bytes that arrived, in order. */
  receive(bytes: Uint8Array): void | Promise<void>;
  /** Ends the stream behind them, has the implementation come to its end, and tells what it did. */
  finish(): ConformanceReport | Promise<ConformanceReport>;
}

/** What an implementation did in a case. */
export interface ConformanceReport {
  /** Whether the connection was open at any time. */
  readonly opened: boolean;
  /** The messages that the application was told, in order: texts as strings. */
  readonly messages: readonly (string | Uint8Array)[];
  /** The close code that the application was told; 1006 where the connection never opened. */
  readonly code: number;
  /** All bytes that were sent, but for a client's `request`. */
  readonly sent: Uint8Array;
}

/**
 * Starts a connection for a case: in its role, in the opening handshake or behind it, as it says. The application accepts every
 * request without a subprotocol, offers nothing as a client, and sends nothing.
 */
export type StartConformance = (test: ConformanceCase) => ConformanceSubject | Promise<ConformanceSubject>;

/** How a case's bytes were handed over. */
export type ConformanceFeeding = "whole" | "byte by byte";

/** What came of one case. */
export interface ConformanceResult {
  readonly test: ConformanceCase;
  readonly feeding: ConformanceFeeding;
  /** What differs from what is expected, for people; nothing does where the case passed. */
  readonly differences: readonly string[];
}

const FEEDINGS: readonly ConformanceFeeding[] = ["whole", "byte by byte"];

/**
 * Runs cases one after the other, each whole and byte by byte. It uses nothing but ECMAScript, and what it awaits is the
 * implementation alone: where nothing of that is asynchronous, jobs need to be run, and no time to pass.
 * @throws what the implementation throws: that ends the run
 */
export async function runConformance(
  cases: readonly ConformanceCase[],
  start: StartConformance,
): Promise<ConformanceResult[]> {
  const results: ConformanceResult[] = [];
  for (const test of cases) {
    for (const feeding of FEEDINGS) {
      results.push({ test, feeding, differences: await play(test, feeding, start) });
    }
  }
  return results;
}

async function play(
  test: ConformanceCase,
  feeding: ConformanceFeeding,
  start: StartConformance,
): Promise<string[]> {
  const subject = await start(test);
  const request = latin1Text(subject.request ?? latin1(""));
  const key = field(test.role === "server" ? latin1Text(test.receives) : request, "sec-websocket-key") ?? "";
  const bytes = answering(test, key);
  const size = feeding === "whole" ? Math.max(bytes.length, 1) : 1;
  // A copy each time: what is received may be rewritten.
  for (let at = 0; at < bytes.length; at += size) await subject.receive(bytes.slice(at, at + size));
  return compare(test, key, request, await subject.finish());
}

/** What is received, with the answer to the client's key in its place (RFC 6455 4.2.2). */
function answering({ begins, role, receives }: ConformanceCase, key: string): Uint8Array {
  if (begins === "open" || role === "server") return receives;
  return latin1(latin1Text(receives).replace("{accept}", acceptFor(key)));
}

function compare(
  test: ConformanceCase,
  key: string,
  request: string,
  { opened, messages, code, sent }: ConformanceReport,
): string[] {
  const { expected, begins, role } = test;
  const differences: string[] = [];
  const expect = (what: string, is: unknown, shouldBe: unknown): void => {
    const [left, right] = [JSON.stringify(is), JSON.stringify(shouldBe)];
    if (left !== right) differences.push(`${what}: ${left} in place of ${right}`);
  };
  expect("opened", opened, expected.opened);
  expect("messages", messages.map(plainMessage), expected.messages.map(plainMessage));
  expect("close code", code, expected.code);

  let frames = sent;
  if (begins === "head" && role === "client") {
    differences.push(...requestFaults(request, key));
  } else if (begins === "head") {
    const text = latin1Text(sent);
    const end = text.indexOf("\r\n\r\n") + 4;
    const response = text.slice(0, end);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(response)?.[1]);
    if (expected.opened) {
      expect("status", status, 101);
      expect("Upgrade", field(response, "upgrade")?.toLowerCase(), "websocket"); // RFC 6455 4.2.2
      expect("Connection", field(response, "connection")?.toLowerCase(), "upgrade");
      expect("Sec-WebSocket-Accept", field(response, "sec-websocket-accept"), acceptFor(key));
      frames = sent.subarray(end);
    } else {
      if (!(status >= 400)) differences.push(`status: ${status} in place of one from 400 on`); // RFC 6455 4.2.1
      frames = sent.subarray(sent.length); // what follows is HTTP's
    }
  }

  const parsed = parseFrames(frames);
  if (typeof parsed === "string") return [...differences, `sent: ${parsed}`];
  // RFC 6455 5.1, 5.2, 5.5: control frames are whole, and only a client masks.
  const lawful = parsed.every(
    ({ fin, rsv, masked, payload }) =>
      fin && rsv === 0 && masked === (role === "client") && payload.length < 126,
  );
  if (!lawful) differences.push("sent: a frame that may not be sent so");
  expect("sent", parsed.map(plainFrame), expected.sends.map(plainReply));
  return differences;
}

/** What is wrong with a client's request (RFC 6455 4.1). */
function requestFaults(request: string, key: string): string[] {
  const faults: string[] = [];
  const need = (holds: boolean, what: string): void => {
    if (!holds) faults.push(`request: ${what}`);
  };
  need(/^GET \/\S* HTTP\/1\.1\r\n/.test(request) && request.endsWith("\r\n\r\n"), "no head of a GET request");
  need(field(request, "host") !== undefined, "no Host");
  need(field(request, "upgrade")?.toLowerCase() === "websocket", "Upgrade is not websocket");
  need(
    /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(field(request, "connection") ?? ""),
    "Connection lists no Upgrade",
  );
  need(field(request, "sec-websocket-version") === "13", "the version is not 13");
  need(isKey(key), "the key is not 16 bytes in base64");
  return faults;
}

/** A header field's value in a head; `name` in small letters. */
function field(head: string, name: string): string | undefined {
  for (const line of head.split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (line.slice(0, colon).toLowerCase() === name) return line.slice(colon + 1).trim();
  }
  return undefined;
}

function plainMessage(message: string | Uint8Array): string {
  return typeof message === "string" ? `text ${message}` : `binary ${toHex(message)}`;
}

function plainReply(reply: ConformanceReply): string {
  return reply.type === "pong" ? `pong ${toHex(reply.payload)}` : `close ${reply.code ?? "without a code"}`;
}

function plainFrame({ opcode, payload }: { readonly opcode: number; readonly payload: Uint8Array }): string {
  if (opcode === PONG) return plainReply({ type: "pong", payload });
  if (opcode !== CLOSE) return `opcode ${opcode}`;
  const [high, low] = payload;
  const code = high === undefined || low === undefined ? undefined : high * 256 + low;
  return plainReply({ type: "close", code });
}
