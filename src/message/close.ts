import { portableUtf8 } from "../bytes/utf8.js";
import { requireString, UsageError } from "../errors.js";
import { MAX_CONTROL_PAYLOAD } from "../frame/header.js";
import type { RuleName } from "../rules.js";
import { encodeUtf8, utf8Fault } from "./text.js";

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
    ((code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999))
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
      `${String(code)} may not be sent: use 1000 to 1003, 1007 to 1014, or 3000 to 4999`,
    );
  }
  requireString(reason, "a close reason");
  if (reason === "") return;
  const length = portableUtf8.byteLength(reason);
  const wrong =
    code === undefined
      ? "needs a code before it: try 1000"
      : /[\r\n\0]/.test(reason)
        ? "may hold no CR, LF or NUL"
        : length > MAX_REASON
          ? `has at most 123 bytes of UTF-8 (RFC 6455 5.5), not ${length}`
          : undefined;
  if (wrong !== undefined) throw new UsageError("bad-reason", `a close reason ${wrong}`);
}

/** A Close frame's payload. */
export function encodeClose({ code, reason }: Close): Uint8Array {
  if (code === NO_STATUS) return new Uint8Array(0);
  return Uint8Array.of(code >> 8, code, ...encodeUtf8(reason));
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
  return { rule: "close-reason", index: utf8Fault(payload, 2) }; // RFC 6455 8.1
}
