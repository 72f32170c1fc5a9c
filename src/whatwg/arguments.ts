import type { Peer } from "../adapters/peer.js";
import { portableUtf8 } from "../bytes/utf8.js";
import { areSubprotocols } from "../handshake/negotiation.js";
import { quote } from "../handshake/headers.js";
import type { DOMExceptionLike } from "./engine.js";
import { engine } from "./engine.js";

// What the WebSockets standard makes of arguments, and which exceptions it throws.

export function exception(name: string, message: string): DOMExceptionLike {
  return new engine.DOMException(message, name);
}

/** The URL as the standard serializes it, and the origin that messages come from. */
export function parseAddress(url: unknown): { href: string; origin: string } {
  let parsed: InstanceType<typeof engine.URL>;
  try {
    parsed = new engine.URL(String(url));
  } catch {
    throw exception("SyntaxError", `${quote(String(url))} is no absolute URL`);
  }
  if (parsed.protocol === "http:") parsed.protocol = "ws:";
  if (parsed.protocol === "https:") parsed.protocol = "wss:";
  if (parsed.protocol !== "ws:" && parsed.protocol !== "wss:") {
    throw exception("SyntaxError", `the scheme must be ws or wss, not ${quote(parsed.protocol)}`);
  }
  const { href } = parsed;
  if (href.includes("#"))
    throw exception("SyntaxError", "a WebSocket's URL has no fragment: leave out the #");
  return { href, origin: `${parsed.protocol}//${parsed.host}` };
}

export function parseProtocols(protocols: string | Iterable<unknown> | undefined): string[] {
  const list = typeof protocols === "string" ? [protocols] : Array.from(protocols ?? [], String);
  if (areSubprotocols(list)) return list;
  throw exception("SyntaxError", `subprotocols must be distinct tokens, not ${quote(list)}`);
}

/** Whether the server took none of the subprotocols: RFC 6455 4.1 lets it, the standard has the connection failed. */
export function lacksSubprotocol(peer: Peer, offered: readonly string[]): boolean {
  return offered.length > 0 && peer.subprotocol === undefined;
}

/** A Close as it is sent; without a code it is empty. */
export interface CloseArguments {
  readonly code: number | undefined;
  readonly reason: string;
}

/** Validates a close code and reason; `clamped` as WebIDL's [Clamp] has it. */
export function parseClose(code: number | undefined, reason: string | undefined): CloseArguments {
  const clamped = code === undefined ? undefined : clamp(Number(code));
  if (clamped !== undefined && clamped !== 1000 && !(clamped >= 3000 && clamped <= 4999)) {
    throw exception("InvalidAccessError", `a page closes with 1000, or 3000 to 4999, not ${clamped}`);
  }
  const text = reason === undefined ? "" : String(reason);
  if (portableUtf8.byteLength(text) > 123) {
    throw exception("SyntaxError", "a close reason has at most 123 bytes of UTF-8");
  }
  if (["\r", "\n", "\0"].some((character) => text.includes(character))) {
    throw exception("SyntaxError", "a close reason may hold no CR, LF or NUL here");
  }
  return { code: clamped ?? (text === "" ? undefined : 1000), reason: text };
}

/** A number as an unsigned short, with WebIDL's [Clamp]: to the nearest, halves to even. */
function clamp(number: number): number {
  if (Number.isNaN(number)) return 0;
  const bounded = Math.min(Math.max(number, 0), 65535);
  const floor = Math.floor(bounded);
  const rest = bounded - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** What is sent as a message: buffers as bytes, copied where `copy` says so, all else as text. */
export function parseMessage(data: unknown, copy = false): string | Uint8Array {
  let bytes: Uint8Array;
  if (ArrayBuffer.isView(data)) bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  else if (data instanceof ArrayBuffer) bytes = new Uint8Array(data);
  else return String(data);
  return copy ? bytes.slice() : bytes;
}
