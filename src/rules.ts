/** A rule that a peer can break, or a time that it can let pass. */
export interface Rule {
  /** What enforces it: RFC and section. */
  readonly section: string;
  /** The close code that it is answered with (RFC 6455 7.4.1), or, in the opening handshake, the HTTP status. */
  readonly code: number;
  /** What was wrong, for people. */
  readonly says: string;
}

// In tables, so that whoever bundles one kind of connection gets no more than what that can report.

/** What an open connection can report. */
const OPEN = {
  // Frames
  "reserved-bits": { section: "RFC 6455 5.2", code: 1002, says: "a reserved bit is set" },
  "reserved-opcode": { section: "RFC 6455 5.2", code: 1002, says: "the opcode is reserved" },
  "fragmented-control": { section: "RFC 6455 5.5", code: 1002, says: "a control frame is fragmented" },
  "long-control": { section: "RFC 6455 5.5", code: 1002, says: "a control frame has over 125 bytes" },
  "lone-continuation": { section: "RFC 6455 5.4", code: 1002, says: "there is no message to continue" },
  "interleaved-message": { section: "RFC 6455 5.4", code: 1002, says: "a message starts inside another" },
  "unmasked-frame": { section: "RFC 6455 5.1", code: 1002, says: "a client's frame is not masked" },
  "masked-frame": { section: "RFC 6455 5.1", code: 1002, says: "a server's frame is masked" },
  "non-minimal-length": {
    section: "RFC 6455 5.2",
    code: 1002,
    says: "the length is not in its shortest form",
  },
  "length-top-bit": { section: "RFC 6455 5.2", code: 1002, says: "the length's top bit is set" },
  "frame-limit": { section: "RFC 6455 10.4", code: 1009, says: "the frame is over the limit" },
  // Messages
  "message-limit": { section: "RFC 6455 10.4", code: 1009, says: "the message is over the limit" },
  "bad-coding": {
    section: "RFC 7692 7.2.2",
    code: 1007,
    says: "a compressed message is not DEFLATE, or cut off",
  },
  "invalid-utf8": { section: "RFC 6455 8.1", code: 1007, says: "a text is not UTF-8" },
  // The closing handshake
  "close-length": { section: "RFC 6455 5.5.1", code: 1002, says: "a Close frame has one byte" },
  "close-code": { section: "RFC 6455 7.4", code: 1002, says: "the close code may not be sent" },
  "close-reason": { section: "RFC 6455 5.5.1", code: 1007, says: "the close reason is not UTF-8" },
  "no-close": { section: "RFC 6455 7.1.5", code: 1006, says: "the stream ended without a Close frame" },
  "close-timeout": {
    section: "RFC 6455 7.1.1",
    code: 1006,
    says: "the Close frame was not answered in time",
  },
  "output-limit": {
    section: "RFC 6455 10.4",
    code: 1006,
    says: "the output is over the limit: the peer reads too slowly",
  },
  "pong-timeout": { section: "RFC 6455 5.5.2", code: 1011, says: "a ping was not answered in time" },
  // Nobody's fault
  "platform-failed": {
    section: "RFC 6455 7.4.1",
    code: 1011,
    says: "the platform threw an error in the middle of what was read",
  },
  closed: { section: "RFC 6455 7.1.2", code: 1005, says: "the closing handshake was started" },
  aborted: { section: "RFC 6455 7.1.7", code: 1006, says: "it was closed before it was open" },
  "transport-lost": { section: "RFC 6455 7.1.5", code: 1006, says: "the transport was lost" },
} as const;

/** What either role can report of the opening handshake. */
const OPENING = {
  "start-line-limit": {
    section: "RFC 9110 15.5.15",
    code: 414,
    says: "the first line is too long",
  },
  "head-limit": { section: "RFC 6585 5", code: 431, says: "the head is too long" },
  "header-count": { section: "RFC 6585 5", code: 431, says: "there are too many header fields" },
  "bad-line-end": { section: "RFC 9112 2.2", code: 400, says: "a line does not end in CR LF" },
  "bad-header-line": { section: "RFC 9112 5", code: 400, says: "a header line is malformed" },
  "http-version": { section: "RFC 9110 15.6.6", code: 505, says: "only HTTP/1.1 is spoken here" },
  "doubled-header": {
    section: "RFC 6455 11.3",
    code: 400,
    says: "a header is doubled that may stand only once",
  },
  "no-handshake": {
    section: "RFC 6455 4",
    code: 1006,
    says: "the stream ended before the opening handshake was over",
  },
  "handshake-timeout": {
    section: "RFC 9110 15.5.9",
    code: 408,
    says: "the opening handshake was not finished in time",
  },
} as const;

/** The opening handshake, read by a server. */
const REQUEST = {
  "bad-request-line": { section: "RFC 9112 3", code: 400, says: "the request line is malformed" },
  "http-1.0": {
    section: "RFC 9110 7.8",
    code: 426,
    says: "HTTP/1.0 cannot be upgraded: a proxy in front must speak HTTP/1.1 and pass on Upgrade and Connection",
  },
  method: {
    section: "RFC 6455 4.2.1",
    code: 405,
    says: "the opening handshake is a GET",
  },
  body: { section: "RFC 6455 4.1", code: 400, says: "the opening handshake has no body" },
  host: { section: "RFC 9112 3.2", code: 400, says: "there must be one valid Host header" },
  target: {
    section: "RFC 9112 3.2",
    code: 400,
    says: "the request target is neither a path nor an http URL",
  },
  upgrade: {
    section: "RFC 6455 4.2.1",
    code: 426,
    says: "a WebSocket needs Upgrade: websocket and Connection: Upgrade (does a proxy in front drop them?)",
  },
  key: { section: "RFC 6455 4.2.1", code: 400, says: "Sec-WebSocket-Key must be 16 bytes in base64, once" },
  version: { section: "RFC 6455 4.4", code: 426, says: "only version 13 is spoken here" },
  subprotocols: {
    section: "RFC 6455 11.3.4",
    code: 400,
    says: "Sec-WebSocket-Protocol must list distinct tokens",
  },
  extensions: { section: "RFC 6455 9.1", code: 400, says: "Sec-WebSocket-Extensions is malformed" },
  protocol: {
    section: "RFC 8441 4",
    code: 501,
    says: "the :protocol is not websocket",
  },
  // Nobody's fault
  "not-accepted": {
    section: "RFC 6455 4.2.2",
    code: 1006,
    says: "the application rejected the opening handshake",
  },
} as const;

/** The opening handshake, read by a client; no status can be sent, the connection fails (RFC 6455 4.1). */
const RESPONSE = {
  "bad-status-line": { section: "RFC 9112 4", code: 1006, says: "the status line is malformed" },
  "response-status": { section: "RFC 6455 4.1", code: 1006, says: "the status does not open a WebSocket" },
  "response-upgrade": {
    section: "RFC 6455 4.1",
    code: 1006,
    says: "Upgrade is not exactly websocket",
  },
  "response-connection": {
    section: "RFC 6455 4.1",
    code: 1006,
    says: "Connection does not list Upgrade",
  },
  "response-accept": {
    section: "RFC 6455 4.1",
    code: 1006,
    says: "Sec-WebSocket-Accept does not fit the key",
  },
  "response-extension": {
    section: "RFC 6455 4.1",
    code: 1006,
    says: "an extension was not offered",
  },
  "response-subprotocol": {
    section: "RFC 6455 4.1",
    code: 1006,
    says: "the subprotocol was not offered",
  },
  rejected: {
    section: "RFC 6455 4.1",
    code: 1006,
    says: "the server answered with another status",
  },
} as const;

/** What a client reports that speaks HTTP/2. */
const HTTP2 = {
  "extended-connect": {
    section: "RFC 8441 3",
    code: 1006,
    says: "the server's SETTINGS do not allow extended CONNECT",
  },
} as const;

/** The name of a rule, as `cause.rule` has it. */
export type RuleName =
  | keyof typeof OPEN
  | keyof typeof OPENING
  | keyof typeof REQUEST
  | keyof typeof RESPONSE
  | keyof typeof HTTP2;

/** The rules that a kind of connection can report. It is asked for no others. */
export type RuleTable = { readonly [N in RuleName]?: Rule };

export const OPEN_RULES: RuleTable = OPEN;
export const SERVER_RULES: RuleTable = /* @__PURE__ */ Object.assign({}, OPEN, OPENING, REQUEST);
export const CLIENT_RULES: RuleTable = /* @__PURE__ */ Object.assign({}, OPEN, OPENING, RESPONSE);

/** The rules by name. Their order means nothing; the names are part of the API (`cause.rule`). */
export const RULES: { readonly [N in RuleName]: Rule } = /* @__PURE__ */ Object.assign(
  {},
  OPEN,
  OPENING,
  /* @__PURE__ */ Object.assign({}, REQUEST, RESPONSE, HTTP2),
);

/** Why a connection ended. */
export interface Cause {
  /** Whose doing it was. */
  readonly by: "local" | "peer" | "transport";
  readonly rule: RuleName;
  /** What enforces the rule: RFC and section. */
  readonly section: string;
  /** What was wrong, for people. */
  readonly message: string;
  /** The place of the offending byte in the stream of bytes received, counted from 0; where there is one. */
  readonly offset: number | undefined;
  /** What `transportLost` was given. */
  readonly error?: unknown;
}

export function causeOf(by: Cause["by"], name: RuleName, offset?: number, error?: unknown): Cause {
  return causeIn(RULES, by, name, offset, error);
}

/** As `causeOf`, of a rule in `rules`. */
export function causeIn(
  rules: RuleTable,
  by: Cause["by"],
  name: RuleName,
  offset?: number,
  error?: unknown,
): Cause {
  const { section, says } = rules[name] as Rule;
  const cause = { by, rule: name, section, message: says, offset };
  return error === undefined ? cause : { ...cause, error };
}
