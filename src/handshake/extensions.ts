import type { MessageCoding } from "../coding.js";
import { UsageError } from "../errors.js";
import type { Platform } from "../platform.js";
import { quote } from "./headers.js";
import { isToken, skipSpace, tokenEnd } from "./tokens.js";

/** A parameter of an extension; its value is undefined where it stands alone. */
export type ExtensionParameter = readonly [name: string, value: string | undefined];

/** One element of Sec-WebSocket-Extensions (RFC 6455 9.1): an offer in a request, a choice in a response. */
export interface ExtensionOffer {
  readonly name: string;
  readonly parameters: readonly ExtensionParameter[];
}

/** An extension in use, as the response names it. */
export type Agreement = ExtensionOffer;

/** What an extension agreed to. */
export interface Accepted {
  /** As the response names them. */
  readonly parameters: readonly ExtensionParameter[];
  /** What it does to messages from now on. Only one extension of a connection can have one: it takes RSV1. */
  readonly coding?: MessageCoding | undefined;
}

/**
 * An extension that may be negotiated. A server asks `accept` about each offer of that name, in the client's order, and
 * takes the first that it does not decline. A client makes one `offer` or several, and has the server's answer checked.
 */
export interface Extension {
  /** The registered name, a token. */
  readonly name: string;
  /** Client: what to offer, the preferred first. */
  offer(): readonly (readonly ExtensionParameter[])[];
  /** Server: what to answer an offer with; undefined declines it (RFC 6455 9.1). */
  accept(offer: readonly ExtensionParameter[], platform: Platform): Accepted | undefined;
  /** Client: what the server's answer leads to; undefined, where it fits no offer, fails the connection. */
  confirm(answer: readonly ExtensionParameter[], platform: Platform): Accepted | undefined;
}

/** The elements of Sec-WebSocket-Extensions (RFC 6455 9.1); undefined where it is malformed. Scans once. */
export function parseExtensions(field: string): ExtensionOffer[] | undefined {
  const offers: ExtensionOffer[] = [];
  let at = 0;
  while (at < field.length) {
    at = skipSpace(field, at);
    const nameEnd = tokenEnd(field, at);
    if (nameEnd > at) {
      const parameters: ExtensionParameter[] = [];
      offers.push({ name: field.slice(at, nameEnd), parameters });
      at = skipSpace(field, nameEnd);
      while (field[at] === ";") {
        const start = skipSpace(field, at + 1);
        const end = tokenEnd(field, start);
        if (end === start) return undefined;
        const name = field.slice(start, end);
        at = skipSpace(field, end);
        if (field[at] !== "=") {
          parameters.push([name, undefined]);
          continue;
        }
        at = skipSpace(field, at + 1);
        const valueEnd = field[at] === '"' ? quotedStringEnd(field, at) : tokenEnd(field, at);
        const value = unquote(field.slice(at, valueEnd));
        if (!isToken(value)) return undefined;
        parameters.push([name, value]);
        at = skipSpace(field, valueEnd);
      }
    }
    if (at < field.length && field[at++] !== ",") return undefined; // empty elements pass (RFC 9110 5.6.1.2)
  }
  return offers;
}

/** The index after the quoted string that begins at `at` (RFC 9110 5.6.4); `at` itself where it does not end. */
function quotedStringEnd(field: string, at: number): number {
  for (let i = at + 1; i < field.length; i++) {
    if (field[i] === '"') return i + 1;
    if (field[i] === "\\") i++;
  }
  return at;
}

/** A parameter's value without its quotes: it must be a token then (RFC 6455 9.1). */
function unquote(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value;
}

/**
 * Elements as Sec-WebSocket-Extensions spells them.
 * @throws {UsageError} "bad-header" where an extension gave something that is no token
 */
export function formatExtensions(offers: readonly ExtensionOffer[]): string {
  return offers
    .map(({ name, parameters }) =>
      [
        token(name),
        ...parameters.map(([key, value]) => token(key) + (value === undefined ? "" : `=${token(value)}`)),
      ].join("; "),
    )
    .join(", ");
}

function token(text: string): string {
  if (isToken(text)) return text;
  throw new UsageError("bad-header", `${quote(text)} in an extension is no token (RFC 6455 9.1)`);
}

/** The extensions in use, in the order of the response, and what they do to messages. */
export interface Agreed {
  readonly extensions: readonly Agreement[];
  readonly coding: MessageCoding | undefined;
}

/**
 * Server: what of `offers` is accepted, in their order: each extension at most once, and no two for the same bit (RFC 6455 9.1).
 * Client, with `ask` "confirm": what of the server's answers is.
 */
export function acceptExtensions(
  offers: readonly ExtensionOffer[],
  extensions: readonly Extension[],
  platform: Platform,
  ask: "accept" | "confirm" = "accept",
): Agreed {
  const agreed: Agreement[] = [];
  let coding: MessageCoding | undefined;
  for (const { name, parameters } of offers) {
    if (agreed.some((one) => one.name === name)) continue;
    let accepted: Accepted | undefined;
    // One may be listed in several forms: the first that does not decline counts.
    for (const extension of extensions) {
      if (extension.name === name) accepted ??= extension[ask](parameters, platform);
    }
    if (accepted === undefined || (accepted.coding !== undefined && coding !== undefined)) continue;
    coding ??= accepted.coding;
    agreed.push({ name, parameters: accepted.parameters });
  }
  return { extensions: agreed, coding };
}

/**
 * Client: what the server chose; undefined where that is more than was offered, an extension twice, two for the same bit
 * (RFC 6455 9.1), or with parameters that do not fit.
 */
export function confirmExtensions(
  answers: readonly ExtensionOffer[],
  extensions: readonly Extension[],
  platform: Platform,
): Agreed | undefined {
  const { extensions: agreed, coding } = acceptExtensions(answers, extensions, platform, "confirm");
  return agreed.length === answers.length ? { extensions: answers, coding } : undefined;
}

/** Client: the value of Sec-WebSocket-Extensions; undefined where nothing is offered. */
export function offerExtensions(extensions: readonly Extension[]): string | undefined {
  const offers = extensions.flatMap((extension) =>
    extension.offer().map((parameters) => ({ name: extension.name, parameters })),
  );
  return offers.length === 0 ? undefined : formatExtensions(offers);
}
