import { UsageError } from "../errors.js";
import { quote } from "./headers.js";
import type { HandshakeRequest } from "./request.js";

/** Which origins may connect besides the server's own host: "*" for all, a list, or a function that decides. */
export type Origins = "*" | readonly string[] | ((origin: string, request: HandshakeRequest) => boolean);

/**
 * Checks where a request comes from (RFC 6455 10.2): browsers let any page connect anywhere, so that the server has to look.
 * No Origin passes (no browser sent it), and so does one whose host and port are the request's own. Only these two are
 * compared, as TLS is often ended before the server; a port left out is the default of the Origin's scheme. Everything
 * else, `null` and `file://` too, must be in `origins`, in the spelling that browsers use.
 * @returns why it is refused; undefined where it passes
 * @throws {UsageError} "bad-option" where `origins` is something else
 */
export function refuseOrigin(request: HandshakeRequest, origins: Origins = []): string | undefined {
  requireOrigins(origins);
  const { origin, authority } = request;
  if (origin === undefined || origins === "*") return undefined;
  const answer: unknown = typeof origins === "function" ? origins(origin, request) : origins.includes(origin);
  const allowed = answer === true; // not just truthy: a promise of an answer lets nobody in
  if (allowed || sameHost(origin, authority)) return undefined;
  return (
    `Origin ${quote(origin)} is not the host ${quote(authority)} that was asked for. ` +
    "To let it in, list it in the server's option `origins`."
  );
}

/** @throws {UsageError} "bad-option" unless it is what `Origins` says. */
export function requireOrigins(origins: unknown): asserts origins is Origins {
  if (origins === "*" || typeof origins === "function" || Array.isArray(origins)) return;
  throw new UsageError("bad-option", `origins is "*", a list or a function, not ${quote(origins)}`);
}

function sameHost(origin: string, authority: string): boolean {
  const match = /^(https?|wss?):\/\/([^/]+)$/i.exec(origin);
  if (match === null) return false;
  const [, scheme, host] = match as unknown as [string, string, string];
  const port = /^(wss|https)$/i.test(scheme) ? "443" : "80";
  return withPort(host, port) === withPort(authority, port);
}

function withPort(authority: string, port: string): string {
  const lower = authority.toLowerCase().replace(/:$/, "");
  return /:[0-9]+$/.test(lower) ? lower : `${lower}:${port}`;
}
