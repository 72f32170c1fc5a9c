import { UsageError } from "../errors.js";
import { isToken } from "./tokens.js";

/** HTTP header fields in the order of the wire, a name as often as it stood there. Names compare without case. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** Header fields as an application hands them in. */
export type HeaderInput =
  | Iterable<readonly [name: string, value: string]>
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * A list of header fields as one text, for those that are kept as long as their connection: it takes a fraction of a list's memory.
 * What no text could be made of, an HTTP server's that did not check it, stays a list.
 */
export type PackedHeaders = string | HeaderList;

export function packHeaders(headers: HeaderList): PackedHeaders {
  let text = "";
  for (const [name, value] of headers) text += `${name}\n${value}\n`;
  let lines = 0;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", end + 1)) lines++;
  return lines === headers.length * 2 ? text : headers;
}

export function unpackHeaders(packed: PackedHeaders): HeaderList {
  if (typeof packed !== "string") return packed;
  const headers: [string, string][] = [];
  for (let at = 0; at < packed.length;) {
    const nameEnd = packed.indexOf("\n", at);
    const valueEnd = packed.indexOf("\n", nameEnd + 1);
    headers.push([packed.slice(at, nameEnd), packed.slice(nameEnd + 1, valueEnd)]);
    at = valueEnd + 1;
  }
  return headers;
}

/** The values of the fields called `name`, in order. */
export function headerValues(headers: HeaderList, name: string): string[] {
  const lower = name.toLowerCase();
  const values: string[] = [];
  for (const [key, value] of headers) {
    if (key.length === lower.length && key.toLowerCase() === lower) values.push(value);
  }
  return values;
}

/** The fields called `name` as one, joined as RFC 9110 5.3 has it; undefined where there is none. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
  const values = headerValues(headers, name);
  if (values.length === 0) return undefined;
  return values.join(name.toLowerCase() === "cookie" ? "; " : ", "); // RFC 9113 8.2.3: HTTP/2 may split cookies
}

/**
 * An application's header fields as a list, each fit for the wire.
 * @throws {UsageError} "bad-header" for a name that is no token, a value that could inject a line or is not Latin-1,
 * or a name that `isReserved` says is the handshake's own.
 */
export function checkHeaders(
  input: HeaderInput | undefined,
  isReserved: (lowerName: string) => boolean,
): HeaderList {
  if (input === undefined) return [];
  const list: [string, string][] = [];
  const add = (name: string, value: unknown): void => {
    if (!isToken(name)) throw new UsageError("bad-header", `${quote(name)} is no header name (RFC 9110 5.1)`);
    if (isReserved(name.toLowerCase())) {
      throw new UsageError("bad-header", `${name} is set by the opening handshake: leave it out`);
    }
    if (typeof value !== "string" || !isHeaderValue(value)) {
      throw new UsageError(
        "bad-header",
        `${name} must be visible Latin-1, spaces and tabs (RFC 9110 5.5), not ${quote(value)}`,
      );
    }
    list.push([name, value]);
  };
  if (typeof input !== "object" || input === null) {
    throw new UsageError("bad-header", `headers are an object or a list of pairs, not ${quote(input)}`);
  }
  if (isPairs(input)) {
    for (const [name, value] of input) add(name, value);
  } else {
    for (const [name, value] of Object.entries(input)) {
      if (value === undefined) continue;
      if (typeof value === "string") add(name, value);
      else if (Array.isArray(value)) for (const each of value) add(name, each);
      else add(name, value);
    }
  }
  return list;
}

/** No control characters but the tab, nothing outside of Latin-1 (RFC 9110 5.5). */
export function isHeaderValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}

function isPairs(input: HeaderInput): input is Iterable<readonly [name: string, value: string]> {
  return Symbol.iterator in input; // an array, a Map, the platform's Headers
}

/** A value as an error message shows it: short, and on one line. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
