import type { Role } from "../closing.js";

/** What a case is about. */
export type ConformanceGroup = "handshake" | "frames" | "text" | "closing";

/** Bytes that an implementation receives, and what has to come of them by the RFC. */
export interface ConformanceCase {
  readonly group: ConformanceGroup;
  /** Unique among the cases of its group and role. */
  readonly name: string;
  /** What asks for it: RFC and section. */
  readonly section: string;
  /** The role of the implementation. */
  readonly role: Role;
  /** "head": with the opening handshake. "open": behind it, with neither a subprotocol nor an extension agreed. */
  readonly begins: "head" | "open";
  /**
   * What the implementation receives; behind it the stream ends. In a response to a client the text `{accept}` stands for the
   * answer to the key of the client's request (RFC 6455 4.2.2).
   */
  readonly receives: Uint8Array;
  readonly expected: ConformanceExpectation;
}

/** What has to come of a case, where the application accepts every request and sends nothing. */
export interface ConformanceExpectation {
  /** Whether the connection was open at any time. A server that does not open answers with a status from 400 on. */
  readonly opened: boolean;
  /** The messages, in order: texts as strings. */
  readonly messages: readonly (string | Uint8Array)[];
  /** The frames that the implementation sends by itself, in order. The reason in a Close is free. */
  readonly sends: readonly ConformanceReply[];
  /** The close code that it reports: the one received, 1005 where that Close had none, 1006 without a Close (RFC 6455 7.1.5). */
  readonly code: number;
}

/** A frame that is sent without the application's doing. The code of an empty Close is undefined. */
export type ConformanceReply =
  | { readonly type: "pong"; readonly payload: Uint8Array }
  | { readonly type: "close"; readonly code: number | undefined };
