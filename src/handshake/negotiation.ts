import type { Platform } from "../platform.js";
import type { Rule, RuleName } from "../rules.js";
import type { Agreed, Extension, ExtensionOffer } from "./extensions.js";
import {
  acceptExtensions,
  confirmExtensions,
  formatExtensions,
  offerExtensions,
  parseExtensions,
} from "./extensions.js";
import { latin1Bytes } from "./head.js";
import type { HeaderList } from "./headers.js";
import { headerValue, headerValues } from "./headers.js";
import { acceptFor, isKey } from "./key.js";
import type { RequestData } from "./request.js";
import { HandshakeRequest, isAuthority, splitTarget } from "./request.js";
import { isToken, listHas, parseTokenList } from "./tokens.js";

// The opening handshake over parsed headers, whatever they came in: HTTP/1.1 bytes, an HTTP server's request, HTTP/2 or 3.

/** A response as data. */
export interface ResponseData {
  readonly status: number;
  readonly headers: HeaderList;
  /** The reason phrase; it has no meaning. */
  readonly reason?: string;
  readonly body?: Uint8Array;
}

/** A request that passed. */
export interface ExaminedRequest {
  readonly request: HandshakeRequest;
  /** Sec-WebSocket-Key; undefined in an extended CONNECT, which has none (RFC 8441 5). */
  readonly key: string | undefined;
  readonly offers: readonly ExtensionOffer[];
}

/** The headers that `accept()` and a client's request keep for themselves. */
export function isHandshakeHeader(lowerName: string): boolean {
  return /^(sec-websocket-.*|host|upgrade)$/.test(lowerName) || isFramingHeader(lowerName);
}

/** The headers that `reject()` keeps for itself: they say where the body ends, and that the connection does. */
export function isFramingHeader(lowerName: string): boolean {
  return /^(connection|content-length|transfer-encoding)$/.test(lowerName);
}

/** Server: whether a request is an opening handshake (RFC 6455 4.2.1, RFC 8441 5); else the rule it breaks. */
export function examineRequest(data: RequestData): ExaminedRequest | RuleName {
  const { headers } = data;
  const extended = isExtendedConnect(data);
  if (extended) {
    if (data.protocol !== "websocket") return "protocol"; // RFC 8441 4, RFC 9220 3
    if (!/^https?$/i.test(data.scheme ?? "")) return "target"; // RFC 8441 4
    if (!isAuthority(data.authority ?? headerValue(headers, "host") ?? "")) return "host"; // RFC 9113 8.3.1
  } else {
    if (data.method !== "GET") return "method";
    if (data.httpVersion === "1.0") return "http-1.0"; // RFC 9110 7.8: Upgrade is ignored there
    const lengths = headerValues(headers, "content-length");
    if (
      headerValues(headers, "transfer-encoding").length > 0 ||
      lengths.some((value) => !/^0+$/.test(value))
    ) {
      return "body";
    }
    const hosts = headerValues(headers, "host");
    if (hosts.length !== 1 || !isAuthority(hosts[0] as string)) return "host"; // RFC 9112 3.2
  }
  const target = splitTarget(data.target);
  if (target === undefined) return "target";
  if (target.authority !== undefined && (extended || !isAuthority(target.authority))) return "target";
  if (!extended && !(listHas(headerValue(headers, "upgrade"), "websocket") && connectionUpgrades(headers))) {
    return "upgrade";
  }
  const keys = headerValues(headers, "sec-websocket-key");
  if (!extended && (keys.length !== 1 || !isKey(keys[0] as string))) return "key";
  const versions = headerValues(headers, "sec-websocket-version");
  if (versions.length > 1 || headerValues(headers, "origin").length > 1) return "doubled-header"; // RFC 6455 11.3.5
  if (versions[0] !== "13") return "version"; // RFC 6455 4.4

  const subprotocols = parseTokenList(headerValue(headers, "sec-websocket-protocol") ?? "");
  if (subprotocols === undefined || hasTwice(subprotocols)) return "subprotocols"; // RFC 6455 4.1
  const offers = parseExtensions(headerValue(headers, "sec-websocket-extensions") ?? ""); // joined: erratum 3433
  if (offers === undefined) return "extensions";
  return { request: new HandshakeRequest(data, subprotocols), key: extended ? undefined : keys[0], offers };
}

/** Whether `data` is an extended CONNECT (RFC 8441 4), of HTTP/2 or 3. */
export function isExtendedConnect(data: RequestData): boolean {
  return data.method === "CONNECT" && data.protocol !== undefined;
}

/** Server: the response that opens the connection (RFC 6455 4.2.2; RFC 8441 5: status 200, without key and upgrade). */
export function acceptance(
  { key, offers }: ExaminedRequest,
  subprotocol: string | undefined,
  extensions: readonly Extension[],
  platform: Platform,
  headers: HeaderList,
): { response: ResponseData; agreed: Agreed } {
  const agreed = acceptExtensions(offers, extensions, platform);
  const list: (readonly [string, string])[] = [];
  if (key !== undefined) list.push(...SWITCHING, ["Sec-WebSocket-Accept", acceptFor(key)]);
  if (subprotocol !== undefined) list.push(["Sec-WebSocket-Protocol", subprotocol]);
  if (agreed.extensions.length > 0) {
    list.push(["Sec-WebSocket-Extensions", formatExtensions(agreed.extensions)]);
  }
  const response =
    key === undefined
      ? { status: 200, reason: "OK", headers: list.concat(headers) }
      : { status: 101, reason: "Switching Protocols", headers: list.concat(headers) };
  return { response, agreed };
}

/** What every 101 has (RFC 6455 4.2.2), shared, as peers keep their response's headers: frozen, so that nobody changes them for all. */
const SWITCHING: HeaderList = [
  /* @__PURE__ */ Object.freeze(["Upgrade", "websocket"] as const),
  /* @__PURE__ */ Object.freeze(["Connection", "Upgrade"] as const),
];

/** Server: the response to a request that breaks a rule. */
export function refusal({ code, says, section }: Rule, request: RequestData | undefined): ResponseData {
  const extended = request !== undefined && isExtendedConnect(request);
  const status = extended && code === 426 ? 400 : code; // nothing can be upgraded there
  const headers: [string, string][] = [["Content-Type", "text/plain; charset=utf-8"]];
  if (status === 405) headers.push(["Allow", "GET"]); // RFC 9110 15.5.6
  if (status === 426) headers.push(["Upgrade", "websocket"]); // RFC 9110 15.5.22
  if (code === 426) headers.push(["Sec-WebSocket-Version", "13"]); // RFC 6455 4.4
  const text = `${says} (${section})\n`;
  return { status, headers, body: request?.method === "HEAD" ? NO_BODY : latin1Bytes(text) };
}

/** Client: the headers of a request (RFC 6455 4.1; RFC 8441 5), without Host. */
export function requestHeaders(
  key: string | undefined,
  origin: string | undefined,
  subprotocols: readonly string[],
  extensions: readonly Extension[],
): HeaderList {
  const list: [string, string][] = [];
  if (key !== undefined) {
    list.push(["Upgrade", "websocket"], ["Connection", "Upgrade"], ["Sec-WebSocket-Key", key]);
  }
  list.push(["Sec-WebSocket-Version", "13"]);
  if (origin !== undefined) list.push(["Origin", origin]);
  if (subprotocols.length > 0) list.push(["Sec-WebSocket-Protocol", subprotocols.join(", ")]);
  const offered = offerExtensions(extensions);
  if (offered !== undefined) list.push(["Sec-WebSocket-Extensions", offered]);
  return list;
}

/** Client: what a response agreed to, once it opens the connection (RFC 6455 4.1); else the rule it breaks. */
export function examineResponse(
  { status, headers }: ResponseData,
  key: string | undefined,
  subprotocols: readonly string[],
  extensions: readonly Extension[],
  platform: Platform,
): { subprotocol: string | undefined; agreed: Agreed } | RuleName {
  if (status !== (key === undefined ? 200 : 101)) return "rejected";
  if (key !== undefined) {
    const upgrades = headerValues(headers, "upgrade");
    if (upgrades.length !== 1 || (upgrades[0] as string).toLowerCase() !== "websocket")
      return "response-upgrade";
    if (!connectionUpgrades(headers)) return "response-connection";
    const accepts = headerValues(headers, "sec-websocket-accept");
    if (accepts.length !== 1 || accepts[0] !== acceptFor(key)) return "response-accept";
  }
  const answers = parseExtensions(headerValue(headers, "sec-websocket-extensions") ?? "");
  const agreed = answers === undefined ? undefined : confirmExtensions(answers, extensions, platform);
  if (agreed === undefined) return "response-extension";
  const picked = headerValues(headers, "sec-websocket-protocol");
  if (picked.length > 1) return "doubled-header"; // RFC 6455 11.3.4
  const subprotocol = picked[0];
  if (subprotocol !== undefined && !subprotocols.includes(subprotocol)) return "response-subprotocol";
  return { subprotocol, agreed };
}

/** Whether subprotocols are distinct tokens, as a request must list them (RFC 6455 4.1). */
export function areSubprotocols(names: readonly string[]): boolean {
  return names.every(isToken) && !hasTwice(names);
}

function hasTwice(names: readonly string[]): boolean {
  return new Set(names).size < names.length;
}

function connectionUpgrades(headers: HeaderList): boolean {
  return listHas(headerValue(headers, "connection"), "upgrade");
}

const NO_BODY = new Uint8Array(0);
