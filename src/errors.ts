/** What a caller did wrong; each is thrown before anything was sent or changed. */
export type UsageCode =
  | "bad-argument"
  | "bad-close-code"
  | "bad-header"
  | "bad-option"
  | "bad-reason"
  | "bad-state"
  | "bad-subprotocol"
  | "bad-text"
  | "bad-url"
  | "no-entropy"
  | "payload-too-long"
  | "unsupported";

/** A mistake of the caller's: thrown at once, with the connection left as it was. The message says what to do. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code: UsageCode;

  constructor(code: UsageCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Throws unless `value` is a `Uint8Array`; `what` names it in the message. */
export function requireBytes(value: unknown, what: string): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) throw notBytes(value, what);
}

function notBytes(value: unknown, what: string): UsageError {
  return new UsageError(
    "bad-argument",
    `${what} must be a Uint8Array, not ${describe(value)}: encode strings first`,
  );
}

/** Throws unless `value` is a string; `what` names it in the message. */
export function requireString(value: unknown, what: string): asserts value is string {
  if (typeof value !== "string") {
    throw new UsageError("bad-argument", `${what} must be a string, not ${describe(value)}`);
  }
}

function describe(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1); // of "[object String]", for example
}
