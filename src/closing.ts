import type { Timeouts } from "./settings.js";

// The life of a connection as a table. The code runs on it, the diagram in docs/closing.md is drawn from it.

/** Which side of the connection one is: a client masks, a server does not. */
export type Role = "client" | "server";

/** Where a connection stands. */
export type PhaseName =
  "head" | "deciding" | "open" | "closeSent" | "awaitingEnd" | "ending" | "ended" | "closed";

/** What can happen to a connection. */
export type Signal =
  /** A server read a valid request. */
  | "requested"
  /** The opening handshake succeeded. */
  | "opened"
  /** The opening handshake was refused: by the application, by us, or by the server. */
  | "rejected"
  /** We sent a Close without having received one. */
  | "closeSent"
  /** The peer's Close arrived; ours is sent. */
  | "closeReceived"
  /** The peer broke a rule or a time-out: we fail the connection (RFC 6455 7.1.7). */
  | "failed"
  /** The peer ended the stream, and all before its end was read. */
  | "peerEnded"
  /** All output was taken. */
  | "drained"
  /** The transport is gone or is to go at once, and all that it brought was read. */
  | "destroyed"
  /** We gave up before the connection was open. */
  | "aborted";

/** What follows on which signal; the others change nothing. */
type Transitions = { readonly [S in Signal]?: PhaseName | { readonly [R in Role]: PhaseName } };

export interface Phase {
  /** What the outside sees of it. */
  readonly state: "connecting" | "open" | "closing" | "closed";
  /** What becomes of the bytes that arrive. */
  readonly input: "head" | "hold" | "frames" | "discard" | "none";
  /** What becomes of the transport; it never goes back. */
  readonly transport: "keep" | "end";
  /** What is waited for. */
  readonly timer: keyof Timeouts | undefined;
  readonly on: Transitions;
}

const AFTER_BOTH_CLOSES = { client: "awaitingEnd", server: "ending" } as const;

export const PHASES: { readonly [N in PhaseName]: Phase } = {
  /** The opening handshake: waiting for the other side's head. */
  head: {
    state: "connecting",
    input: "head",
    transport: "keep",
    timer: "handshake",
    on: {
      requested: "deciding",
      opened: "open",
      rejected: "ending",
      failed: "ending",
      peerEnded: "ended",
      destroyed: "closed",
      aborted: "closed",
    },
  },
  /** A server's application has the request and takes its time. */
  deciding: {
    state: "connecting",
    input: "hold",
    transport: "keep",
    timer: undefined,
    on: { opened: "open", rejected: "ending", destroyed: "closed", aborted: "closed" },
  },
  open: {
    state: "open",
    input: "frames",
    transport: "keep",
    timer: undefined,
    on: {
      closeSent: "closeSent",
      closeReceived: AFTER_BOTH_CLOSES,
      failed: "ending",
      peerEnded: "ended",
      destroyed: "closed",
    },
  },
  /** Our Close was sent first; messages are still delivered (RFC 6455 5.5.1). */
  closeSent: {
    state: "closing",
    input: "frames",
    transport: "keep",
    timer: "closing",
    on: { closeReceived: AFTER_BOTH_CLOSES, failed: "ending", peerEnded: "ended", destroyed: "closed" },
  },
  /** Both Closes are exchanged, and the server is to end first (RFC 6455 7.1.1). */
  awaitingEnd: {
    state: "closing",
    input: "discard",
    transport: "keep",
    timer: "linger",
    on: { peerEnded: "ended", destroyed: "closed" },
  },
  /** Nothing more is due from the peer but its end: what it still sends is read, so that it gets to see what we sent. */
  ending: {
    state: "closing",
    input: "discard",
    transport: "end",
    timer: "linger",
    on: { peerEnded: "ended", destroyed: "closed" },
  },
  /** The peer's end came: what is queued is still to be taken. */
  ended: {
    state: "closing",
    input: "none",
    transport: "end",
    timer: "linger",
    on: { drained: "closed", destroyed: "closed" },
  },
  closed: { state: "closed", input: "none", transport: "end", timer: undefined, on: {} },
};

/** The phase after `signal`; the same one where it changes nothing. */
export function phaseAfter(phase: Phase, signal: Signal, role: Role): Phase {
  const to = phase.on[signal];
  if (to === undefined) return phase;
  return PHASES[typeof to === "string" ? to : to[role]];
}
