import { requireString, UsageError } from "../errors.js";
import { quote } from "./headers.js";
import { splitAuthority } from "./request.js";

/** A WebSocket URL taken apart (RFC 6455 3). */
export interface WebSocketUrl {
  readonly secure: boolean;
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** What the Host header says: the host, and the port where it is not the scheme's default. */
  readonly authority: string;
  /** The resource name: path and query. */
  readonly target: string;
}

/**
 * Takes a ws:, wss:, http: or https: URL apart (RFC 6455 3). It must be in ASCII already, as the URL class leaves it.
 * @throws {UsageError} "bad-url", or "bad-argument" where it is no string
 */
export function parseUrl(url: string): WebSocketUrl {
  requireString(url, "a URL");
  const match = /^(wss?|https?):\/\/([^/?#]*)(\/[^?#]*)?(\?[^#]*)?(#.*)?$/is.exec(url);
  if (match === null) throw badUrl(url, "it must begin with ws:// or wss://");
  const [, scheme, authority, path = "/", query = "", fragment] = match as unknown as [
    string,
    string,
    string,
    string?,
    string?,
    string?,
  ];
  if (fragment !== undefined) throw badUrl(url, "leave out the # and what follows (RFC 6455 3)");
  if (authority.includes("@")) throw badUrl(url, "pass user and password as an Authorization header");
  const parts = splitAuthority(authority);
  if (parts === undefined) throw badUrl(url, "its host or port is malformed");
  if (!/^[\x21-\x7e]*$/.test(path + query)) {
    throw badUrl(url, "its path or query must be percent-encoded: `new URL(url).href` does it");
  }
  const secure = /^(wss|https)$/i.test(scheme);
  const defaultPort = secure ? 443 : 80;
  const host = parts.host.toLowerCase();
  const port = parts.port === "" ? defaultPort : Number(parts.port);
  if (port === 0) throw badUrl(url, "its port is 0");
  return {
    secure,
    host: host.replace(/[[\]]/g, ""),
    port,
    authority: port === defaultPort ? host : `${host}:${port}`,
    target: path + query,
  };
}

function badUrl(url: string, why: string): UsageError {
  return new UsageError("bad-url", `${quote(url)} is no WebSocket URL: ${why}`);
}
