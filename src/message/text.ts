import { checkUtf8, isUtf8 } from "../bytes/utf8.js";
import { requireBytes, UsageError } from "../errors.js";
import type { Utf8 } from "../platform.js";

/**
 * Throws unless `text`, which is not a string, is bytes in UTF-8: only such may be sent as a text (RFC 6455 5.6).
 * @throws {UsageError} "bad-argument", "bad-text"
 */
export function requireUtf8(text: unknown, utf8: Utf8): asserts text is Uint8Array {
  requireBytes(text, "a text that is no string");
  if (isUtf8(utf8, text, 0, text.length)) return;
  const state = checkUtf8(0, text, 0, text.length);
  throw notUtf8(state < 0 ? ~state : text.length);
}

export function notUtf8(index: number): UsageError {
  return new UsageError(
    "bad-text",
    `a text given as bytes must be UTF-8; what stands at byte ${index} is not`,
  );
}
