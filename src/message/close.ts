import { checkUtf8, portableUtf8 } from "../bytes/utf8.js";
import { requireString, UsageError } from "../errors.js";
import { MAX_CONTROL_PAYLOAD } from "../frame/header.js";
import type { RuleName } from "../rules.js";

/** What a Close frame says (RFC 6455 5.5.1). */
export interface Close {
  /** 1005 where the frame has none. */
  readonly code: number;
  readonly reason: string;
}

/** Reported for a Close without a code, and for none at all; never on the wire (RFC 6455 7.4.1). */
export const NO_STATUS = 1005;
export const ABNORMAL = 1006;

/** The longest reason in bytes: a control frame's payload without the code. */
const MAX_REASON = MAX_CONTROL_PAYLOAD - 2;

/** Whether a close code may be on the wire, in either direction (RFC 6455 7.4 and the registry that it founds). */
export function isCloseCode(code: number): boolean {
  return (
    Number.isInteger(code) &&
    ((code >= 1000 && code <= 1014 && (code <= 1003 || code >= 1007)) || (code >= 3000 && code <= 4999))
  );
}

/**
 * Checks what an application wants to close with.
 * @throws {UsageError} "bad-close-code", "bad-reason", "bad-argument"
 */
export function requireClose(code: number | undefined, reason: string): void {
  if (code !== undefined && !isCloseCode(code)) {
    throw new UsageError(
      "bad-close-code",
      `${String(code)} may not be sent: use 1000, a code from 1001 to 1014 but 1004 to 1006, or one from 3000 to 4999`,
    );
  }
  requireString(reason, "a close reason");
  if (reason === "") return;
  if (code === undefined)
    throw new UsageError("bad-reason", "a close reason needs a code before it: try 1000");
  if (["\r", "\n", "\0"].some((character) => reason.includes(character))) {
    throw new UsageError("bad-reason", "a close reason may hold no CR, LF or NUL");
  }
  const length = portableUtf8.byteLength(reason);
  if (length > MAX_REASON) {
    throw new UsageError(
      "bad-reason",
      `a close reason has at most 123 bytes of UTF-8 (RFC 6455 5.5), not ${length}`,
    );
  }
}

/** A Close frame's payload. */
export function encodeClose({ code, reason }: Close): Uint8Array {
  if (code === NO_STATUS) return new Uint8Array(0);
  const payload = new Uint8Array(2 + portableUtf8.byteLength(reason));
  payload[0] = code >> 8;
  payload[1] = code;
  portableUtf8.encodeInto(reason, payload, 2);
  return payload;
}

/** What a Close frame's payload says, which is not one byte long; or the rule it breaks, and at which of its bytes. */
export function decodeClose(
  payload: Uint8Array,
): Close | { readonly rule: RuleName; readonly index: number } {
  if (payload.length === 0) return { code: NO_STATUS, reason: "" }; // RFC 6455 7.1.5
  const code = ((payload[0] as number) << 8) | (payload[1] as number);
  if (!isCloseCode(code)) return { rule: "close-code", index: 0 }; // RFC 6455 7.4
  const reason = portableUtf8.decode(payload, 2, payload.length);
  if (reason !== undefined) return { code, reason };
  const state = checkUtf8(0, payload, 2, payload.length);
  return { rule: "close-reason", index: state < 0 ? ~state : payload.length }; // RFC 6455 8.1
}
