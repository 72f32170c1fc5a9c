import { checkUtf8, isUtf8, portableUtf8 } from "../bytes/utf8.js";
import { requireBytes, UsageError } from "../errors.js";
import type { Utf8 } from "../platform.js";

/**
 * Throws unless `text`, which is not a string, is bytes in UTF-8: only such may be sent as a text (RFC 6455 5.6).
 * @throws {UsageError} "bad-argument", "bad-text"
 */
export function requireUtf8(text: unknown, utf8: Utf8): asserts text is Uint8Array {
  requireBytes(text, "a text that is no string");
  if (isUtf8(utf8, text, 0, text.length)) return;
  throw notUtf8(utf8Fault(text, 0));
}

/** Where bytes that are not UTF-8 from `start` on show it: the index of the first that cannot stand there, or their end. */
export function utf8Fault(bytes: Uint8Array, start: number): number {
  const state = checkUtf8(0, bytes, start, bytes.length);
  return state < 0 ? ~state : bytes.length;
}

/** A text in UTF-8, lone surrogates as U+FFFD (RFC 6455 8.1). */
export function encodeUtf8(text: string, utf8: Utf8 = portableUtf8): Uint8Array {
  const bytes = new Uint8Array(utf8.byteLength(text));
  utf8.encodeInto(text, bytes, 0);
  return bytes;
}

export function notUtf8(index: number): UsageError {
  return new UsageError("bad-text", `a text in bytes must be UTF-8, which byte ${index} is not`);
}
