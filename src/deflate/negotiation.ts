// The negotiation of permessage-deflate (RFC 7692 5 to 7.1). Names are compared with their case: neither RFC 7692 nor RFC 6455 9.1 asks
// for anything else, and where RFC 6455 does (4.1: "websocket", "upgrade") it says so.

import { UsageError } from "../errors.js";
import type { ExtensionParameter } from "../handshake/extensions.js";

/** The extension's name (RFC 7692 7). */
export const PERMESSAGE_DEFLATE = "permessage-deflate";

/**
 * How each end compresses (RFC 7692 7.1). Of one connection: what holds there. Of one end: the most that it wants held, which a peer may
 * narrow and cannot widen.
 */
export interface DeflateParameters {
  /** The server forgets its window after each message. */
  readonly serverNoContextTakeover: boolean;
  /** The client forgets its window after each message. */
  readonly clientNoContextTakeover: boolean;
  /** The base-2 logarithm of the server's window in bytes, 8 to 15. */
  readonly serverMaxWindowBits: number;
  /** The base-2 logarithm of the client's window in bytes, 8 to 15. */
  readonly clientMaxWindowBits: number;
}

/** What is negotiated of permessage-deflate (RFC 7692 7.1). Each end's compressor, and the other's decompressor, keeps a window. */
export interface DeflateNegotiationOptions {
  /**
   * Whether the server begins each message with an empty window, so that neither end keeps one for what the server sends. A client that
   * says true gets no compression of a server that cannot. Default true on a server, false on a client.
   */
  readonly serverNoContextTakeover?: boolean | undefined;
  /**
   * Whether the client begins each message with an empty window, so that neither end keeps one for what the client sends. Default true on
   * a server, false on a client.
   */
  readonly clientNoContextTakeover?: boolean | undefined;
  /**
   * The base-2 logarithm of the largest window in bytes that the server may compress with, 8 to 15. A client that says less than 15 gets
   * no compression of a server that cannot; at 8 some servers even fail. Default 15.
   */
  readonly serverMaxWindowBits?: number | undefined;
  /**
   * The base-2 logarithm of the largest window in bytes that the client may compress with, 8 to 15. A client that does not offer
   * `client_max_window_bits`, as Firefox, uses 15 whatever a server says here; at 8 some clients fail. Default 15.
   */
  readonly clientMaxWindowBits?: number | undefined;
}

/** What one direction of a connection uses. */
export interface DeflateDirection {
  /** The base-2 logarithm of the window in bytes, 8 to 15. */
  readonly windowBits: number;
  /** Whether the window goes on from one message to the next. */
  readonly contextTakeover: boolean;
}

/** A window of 32 KiB, which holds where nothing else is said (RFC 7692 7.1.2). */
const MOST_BITS = 15;

/**
 * Options with the defaults of a role, checked.
 * @throws {UsageError} "bad-option"
 */
export function wantedDeflate(
  role: "client" | "server",
  options: DeflateNegotiationOptions = {},
): DeflateParameters {
  const isServer = role === "server";
  return {
    serverNoContextTakeover: flag("serverNoContextTakeover", options.serverNoContextTakeover, isServer),
    clientNoContextTakeover: flag("clientNoContextTakeover", options.clientNoContextTakeover, isServer),
    serverMaxWindowBits: bits("serverMaxWindowBits", options.serverMaxWindowBits),
    clientMaxWindowBits: bits("clientMaxWindowBits", options.clientMaxWindowBits),
  };
}

function flag(name: string, value: boolean | undefined, byDefault: boolean): boolean {
  if (value === undefined) return byDefault;
  if (typeof value === "boolean") return value;
  throw new UsageError("bad-option", `${name} must be true or false, not ${String(value)}`);
}

function bits(name: string, value: number | undefined): number {
  if (value === undefined) return MOST_BITS;
  if (Number.isInteger(value) && value >= 8 && value <= MOST_BITS) return value;
  throw new UsageError("bad-option", `${name} must be a whole number from 8 to 15, not ${String(value)}`);
}

/** Client: the parameters of one offer for each of `wanted`, the preferred first (RFC 7692 5). */
export function offerDeflate(...wanted: readonly DeflateParameters[]): ExtensionParameter[][] {
  return wanted.map((wish) =>
    format({
      ...wish,
      serverMaxWindowBits: stated(wish.serverMaxWindowBits),
      clientMaxWindowBits: stated(wish.clientMaxWindowBits) ?? "any", // else the server may not bound it (7.1.2.2)
    }),
  );
}

/**
 * Server: the parameters to answer an offer with, and what then holds; undefined declines it. Whatever is well-formed is accepted: the
 * strictest of what both want.
 */
export function acceptDeflate(
  offer: readonly ExtensionParameter[],
  wanted: DeflateParameters,
): { readonly answer: readonly ExtensionParameter[]; readonly agreed: DeflateParameters } | undefined {
  const offered = read(offer);
  if (offered === undefined) return undefined;
  const { serverMaxWindowBits: serverBits, clientMaxWindowBits: clientBits } = offered;
  const agreed: DeflateParameters = {
    serverNoContextTakeover: wanted.serverNoContextTakeover || offered.serverNoContextTakeover, // RFC 7692 7.1.1.1
    clientNoContextTakeover: wanted.clientNoContextTakeover || offered.clientNoContextTakeover, // RFC 7692 7.1.1.2
    serverMaxWindowBits: Math.min(wanted.serverMaxWindowBits, bound(serverBits)),
    clientMaxWindowBits:
      clientBits === undefined
        ? MOST_BITS // the answer may not bound it (RFC 7692 7.1.2.2)
        : Math.min(wanted.clientMaxWindowBits, bound(clientBits)),
  };
  const answer = format({
    ...agreed,
    // Only if it was offered: some browsers fail otherwise, and a smaller window harms nobody (RFC 7692 7.1.2.1).
    serverMaxWindowBits: serverBits === undefined ? undefined : agreed.serverMaxWindowBits,
    clientMaxWindowBits: stated(agreed.clientMaxWindowBits),
  });
  return { answer, agreed };
}

/**
 * Client: what holds after this answer to `offers`; undefined fails the connection. Where the answer fits several of them, nothing tells
 * which one the server took, so the client binds itself by all of these.
 */
export function confirmDeflate(
  answer: readonly ExtensionParameter[],
  offers: readonly (readonly ExtensionParameter[])[],
): DeflateParameters | undefined {
  const answered = read(answer);
  if (answered === undefined) return undefined;
  let agreed: DeflateParameters | undefined;
  for (const offer of offers) {
    const offered = read(offer);
    if (offered === undefined || !fits(answered, offered)) continue;
    agreed = {
      serverNoContextTakeover: answered.serverNoContextTakeover, // also unasked (RFC 7692 7.1.1.1, erratum 4982)
      clientNoContextTakeover:
        answered.clientNoContextTakeover || // also unasked (RFC 7692 7.1.1.2)
        offered.clientNoContextTakeover || // the offer was a promise (RFC 7692 7.1.1.2)
        agreed?.clientNoContextTakeover === true,
      serverMaxWindowBits: bound(answered.serverMaxWindowBits), // also unasked (RFC 7692 7.1.2.1)
      // The offer was a promise, whatever the answer (RFC 7692 7.1.2.2).
      clientMaxWindowBits: Math.min(
        bound(answered.clientMaxWindowBits),
        bound(offered.clientMaxWindowBits),
        agreed?.clientMaxWindowBits ?? MOST_BITS,
      ),
    };
  }
  return agreed;
}

function fits(answered: Stated, offered: Stated): boolean {
  // RFC 7692 7.1.1.1
  if (offered.serverNoContextTakeover && !answered.serverNoContextTakeover) return false;
  // RFC 7692 7.1.2.1
  if (
    offered.serverMaxWindowBits !== undefined &&
    (answered.serverMaxWindowBits === undefined || answered.serverMaxWindowBits > offered.serverMaxWindowBits)
  ) {
    return false;
  }
  // RFC 7692 7.1.2.2
  return (
    answered.clientMaxWindowBits === undefined ||
    (answered.clientMaxWindowBits !== "any" && offered.clientMaxWindowBits !== undefined)
  );
}

/** What an end uses for the messages that it sends, and for those that it receives. */
export function deflateDirections(
  role: "client" | "server",
  agreed: DeflateParameters,
): { readonly send: DeflateDirection; readonly receive: DeflateDirection } {
  const server = {
    windowBits: agreed.serverMaxWindowBits,
    contextTakeover: !agreed.serverNoContextTakeover,
  };
  const client = {
    windowBits: agreed.clientMaxWindowBits,
    contextTakeover: !agreed.clientNoContextTakeover,
  };
  return role === "server" ? { send: server, receive: client } : { send: client, receive: server };
}

/** The parameters of one offer or answer. Undefined: it is not there; "any": it has no value. */
interface Stated {
  readonly serverNoContextTakeover: boolean;
  readonly clientNoContextTakeover: boolean;
  readonly serverMaxWindowBits: number | undefined;
  readonly clientMaxWindowBits: number | "any" | undefined;
}

/** Undefined where a parameter is unknown, there twice, or has a value that it may not have (RFC 7692 7). */
function read(parameters: readonly ExtensionParameter[]): Stated | undefined {
  let serverNoContextTakeover = false;
  let clientNoContextTakeover = false;
  let serverMaxWindowBits: Stated["serverMaxWindowBits"];
  let clientMaxWindowBits: Stated["clientMaxWindowBits"];
  for (const [name, value] of parameters) {
    switch (name) {
      case "server_no_context_takeover":
        if (serverNoContextTakeover || value !== undefined) return undefined; // RFC 7692 7.1.1.1
        serverNoContextTakeover = true;
        break;
      case "client_no_context_takeover":
        if (clientNoContextTakeover || value !== undefined) return undefined; // RFC 7692 7.1.1.2
        clientNoContextTakeover = true;
        break;
      case "server_max_window_bits":
        if (serverMaxWindowBits !== undefined || !isWindowBits(value)) return undefined; // RFC 7692 7.1.2.1
        serverMaxWindowBits = Number(value);
        break;
      case "client_max_window_bits":
        if (clientMaxWindowBits !== undefined) return undefined;
        if (value !== undefined && !isWindowBits(value)) return undefined; // RFC 7692 7.1.2.2
        clientMaxWindowBits = value === undefined ? "any" : Number(value);
        break;
      default:
        return undefined;
    }
  }
  return { serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits };
}

/** 8 to 15 in decimal, with no leading zeroes (RFC 7692 7.1.2.1). */
function isWindowBits(value: string | undefined): value is string {
  return value !== undefined && /^(?:[89]|1[0-5])$/.test(value);
}

/** What is said of a window: nothing where it is the largest. */
function stated(windowBits: number): number | undefined {
  return windowBits === MOST_BITS ? undefined : windowBits;
}

/** What was said of a window, as a number. */
function bound(windowBits: Stated["clientMaxWindowBits"]): number {
  return typeof windowBits === "number" ? windowBits : MOST_BITS;
}

function format(stated: Stated): ExtensionParameter[] {
  const { serverMaxWindowBits, clientMaxWindowBits } = stated;
  const parameters: ExtensionParameter[] = [];
  if (stated.serverNoContextTakeover) parameters.push(["server_no_context_takeover", undefined]);
  if (stated.clientNoContextTakeover) parameters.push(["client_no_context_takeover", undefined]);
  if (serverMaxWindowBits !== undefined) {
    parameters.push(["server_max_window_bits", String(serverMaxWindowBits)]);
  }
  if (clientMaxWindowBits !== undefined) {
    parameters.push([
      "client_max_window_bits",
      clientMaxWindowBits === "any" ? undefined : String(clientMaxWindowBits),
    ]);
  }
  return parameters;
}
