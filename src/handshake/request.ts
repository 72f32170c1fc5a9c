import type { HeaderList, PackedHeaders } from "./headers.js";
import { headerValue, packHeaders, unpackHeaders } from "./headers.js";

/** A request for a WebSocket as data: what an HTTP server of any version parsed. */
export interface RequestData {
  /** "GET", or "CONNECT" where it is an extended CONNECT (RFC 8441). */
  readonly method: string;
  /** The request target: `:path` in HTTP/2 and 3. */
  readonly target: string;
  readonly headers: HeaderList;
  /** Default "1.1" for GET, "2" for CONNECT. */
  readonly httpVersion?: string;
  /** `:protocol` (RFC 8441 4). */
  readonly protocol?: string | undefined;
  /** `:authority`; in HTTP/1.1 it is the Host header. */
  readonly authority?: string | undefined;
  /** `:scheme`. */
  readonly scheme?: string | undefined;
}

/** A client's opening handshake: what it asks for. */
export class HandshakeRequest implements RequestData {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: string;
  readonly protocol: string | undefined;
  /** Host and, where it is given, port: the target's own, else `:authority`, else the Host header. */
  readonly authority: string;
  readonly scheme: string | undefined;
  /** The target's path, percent-encoded as it came. */
  readonly path: string;
  /** The target's query without its "?"; empty where there is none. */
  readonly query: string;
  /** The subprotocols offered, the preferred first. */
  readonly subprotocols: readonly string[];
  private readonly packed: PackedHeaders;

  constructor(data: RequestData, subprotocols: readonly string[]) {
    this.method = data.method;
    this.target = data.target;
    this.packed = packHeaders(data.headers);
    this.httpVersion = data.httpVersion ?? (data.method === "CONNECT" ? "2" : "1.1");
    this.protocol = data.protocol;
    this.scheme = data.scheme;
    const parts = splitTarget(data.target);
    this.authority = parts?.authority ?? data.authority ?? headerValue(data.headers, "host") ?? "";
    this.path = parts?.path ?? data.target;
    this.query = parts?.query ?? "";
    this.subprotocols = subprotocols;
  }

  /** The fields as they came. A request lives as long as its connection, and as text they take less memory: a list is made when it is asked for. */
  get headers(): HeaderList {
    return unpackHeaders(this.packed);
  }

  /** The Origin header: where the page came from, if a browser sent it (RFC 6454). */
  get origin(): string | undefined {
    return this.header("origin");
  }

  /** The fields called `name`, in any case, joined with commas; undefined where there is none. */
  header(name: string): string | undefined {
    return headerValue(this.headers, name);
  }
}

/** A request target in origin-form or absolute-form (RFC 9112 3.2); undefined for every other. */
export function splitTarget(
  target: string,
): { authority: string | undefined; path: string; query: string } | undefined {
  const match = /^(?:(?:http|ws)s?:\/\/([^/?#]+))?(\/[^?#]*)?(?:\?([^#]*))?$/i.exec(target);
  if (match === null) return undefined;
  const [, authority, path, query] = match;
  if (authority === undefined && path === undefined) return undefined;
  return { authority, path: path ?? "/", query: query ?? "" };
}

/** An authority without user information (RFC 9110 7.2, RFC 3986 3.2.2); undefined for every other. The port may be empty. */
export function splitAuthority(authority: string): { host: string; port: string } | undefined {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::([0-9]{0,5}))?$/.exec(authority);
  const [, host, port = ""] = match ?? [];
  return host === undefined || Number(port) > 65535 ? undefined : { host, port };
}

export function isAuthority(authority: string): boolean {
  return splitAuthority(authority) !== undefined;
}
