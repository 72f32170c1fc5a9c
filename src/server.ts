import { PHASES } from "./closing.js";
import { Connection } from "./connection.js";
import { requireBytes, UsageError } from "./errors.js";
import type { ClosingEvent, ConnectionEvent } from "./events.js";
import { formatHead, HeadParser, judgeRequestLine } from "./handshake/head.js";
import type { HeaderInput } from "./handshake/headers.js";
import { checkHeaders, headerValues, quote } from "./handshake/headers.js";
import type { ExaminedRequest, ResponseData } from "./handshake/negotiation.js";
import {
  acceptance,
  examineRequest,
  isExtendedConnect,
  isFramingHeader,
  isHandshakeHeader,
  refusal,
} from "./handshake/negotiation.js";
import type { RequestData } from "./handshake/request.js";
import { ABNORMAL } from "./message/close.js";
import { encodeUtf8 } from "./message/text.js";
import type { Rule, RuleName, RuleTable } from "./rules.js";
import { SERVER_RULES } from "./rules.js";
import type { Options, Settings } from "./settings.js";

/** How to accept a request. */
export interface AcceptOptions {
  /** One of the subprotocols that the request offers. Default none. */
  readonly subprotocol?: string | undefined;
  /** Further headers of the response: cookies, for example. */
  readonly headers?: HeaderInput | undefined;
}

/** How to reject a request. */
export interface RejectOptions {
  /** From 300 to 599. */
  readonly status: number;
  readonly headers?: HeaderInput | undefined;
  /** A string is sent as UTF-8, as text/plain unless the headers say otherwise. */
  readonly body?: string | Uint8Array | undefined;
}

/**
 * The server's side, from the first byte of the opening handshake (RFC 6455 4.2). Requests that break a rule are answered
 * by itself; a valid one comes as a `request` event, to be answered with `accept()` or `reject()`, now or later.
 */
export class ServerConnection extends Connection {
  /**
   * With `http: "external"`, or after `receiveRequest` with it: the response to be sent, once there is one. A rejection's
   * body is in it.
   */
  response: ResponseData | undefined;
  private parser: HeadParser | undefined;
  private examined: ExaminedRequest | undefined;

  /** @throws {UsageError} "bad-option" */
  constructor(options: Options | Settings = {}) {
    super("server", options, PHASES.head);
  }

  /**
   * Takes a request that an HTTP server has read, and the bytes that it read past the head. In place of its bytes.
   * @throws {UsageError} "bad-argument", or "bad-state" once there is a request, or bytes of one, and for an extended CONNECT
   * without `http: "external"`
   */
  receiveRequest(request: RequestData, head?: Uint8Array): void {
    if (head !== undefined) requireBytes(head, "what was read past the head");
    if (this.state === "closing" || this.state === "closed") return;
    const hasBytes = this.parser !== undefined || (this.settings.http === "1.1" && this.input.size > 0);
    if (this.phase !== PHASES.head || hasBytes) {
      throw new UsageError("bad-state", "there is a request already");
    }
    if (this.settings.http === "1.1" && isExtendedConnect(request)) {
      throw new UsageError("bad-state", 'an extended CONNECT needs `http: "external"`');
    }
    this.readClock();
    this.tell(this.examine(request, undefined));
    if (head !== undefined) this.receive(head);
  }

  /**
   * Accepts the request: the connection is open.
   * @returns false where it is too late: the connection is closing or closed
   * @throws {UsageError} "bad-state" before the request and after an answer, "bad-subprotocol" for one that was not
   * offered, "bad-header"
   */
  accept({ subprotocol, headers }: AcceptOptions = {}): boolean {
    const examined = this.requireRequest();
    const list = checkHeaders(headers, isHandshakeHeader);
    if (examined === undefined) return false;
    const { subprotocols } = examined.request;
    if (subprotocol !== undefined && !subprotocols.includes(subprotocol)) {
      throw new UsageError(
        "bad-subprotocol",
        `${quote(subprotocol)} was not offered (RFC 6455 4.2.2): pick one of ${quote(subprotocols)}, or none`,
      );
    }
    const { extensions, platform } = this.settings;
    const { response, agreed } = acceptance(examined, subprotocol, extensions, platform, list);
    this.examined = undefined;
    this.readClock();
    this.respond(response);
    this.opened(
      { type: "open", subprotocol, extensions: agreed.extensions, headers: response.headers },
      agreed.coding,
    );
    return true;
  }

  /**
   * Rejects the request with an HTTP response.
   * @returns false where it is too late: the connection is closing or closed
   * @throws {UsageError} "bad-state" before the request and after an answer, "bad-argument", "bad-header"
   */
  reject({ status, headers, body }: RejectOptions): boolean {
    const examined = this.requireRequest();
    if (!Number.isInteger(status) || status < 300 || status > 599) {
      throw new UsageError(
        "bad-argument",
        `the status must be a number from 300 to 599, not ${String(status)}`,
      );
    }
    if (body !== undefined && typeof body !== "string") requireBytes(body, "a body that is no string");
    const list = [...checkHeaders(headers, isFramingHeader)];
    if (examined === undefined) return false;
    if (typeof body === "string" && headerValues(list, "content-type").length === 0) {
      list.push(["Content-Type", "text/plain; charset=utf-8"]);
    }
    this.readClock();
    this.examined = undefined;
    const cause = this.blame("local", "not-accepted");
    this.respondFinally({
      status,
      headers: list,
      body: typeof body === "string" ? encodeUtf8(body) : (body ?? NO_BODY),
    });
    this.tell({ type: "closing", code: ABNORMAL, reason: "", cause });
    return true;
  }

  /** @internal */
  protected override get rules(): RuleTable {
    return SERVER_RULES;
  }

  /** @internal */
  protected override nextOpeningEvent(): ConnectionEvent | undefined {
    const { input, settings } = this;
    if (settings.http === "external") return undefined;
    while (input.position < input.end || input.advance()) {
      const parser = (this.parser ??= new HeadParser(settings.limits, judgeRequestLine));
      input.position = parser.read(input.bytes, input.position, input.end);
      if (!parser.done && parser.fault === undefined) continue;
      this.parser = undefined;
      const [method = "", target = "", version = ""] = parser.startLine.split(" ");
      const data = { method, target, httpVersion: version.slice(5), headers: parser.headers };
      const offset = input.offset - 1;
      return parser.fault === undefined
        ? this.examine(data, offset)
        : this.refuse(parser.fault, offset, data);
    }
    return undefined;
  }

  /** @internal */
  protected override timedOut(): void {
    if (this.phase === PHASES.head) this.tell(this.refuse("handshake-timeout", undefined, undefined));
    else super.timedOut();
  }

  private examine(data: RequestData, offset: number | undefined): ConnectionEvent {
    const examined = examineRequest(data);
    if (typeof examined === "string") return this.refuse(examined, offset, data);
    this.examined = examined;
    this.step("requested");
    return { type: "request", request: examined.request };
  }

  private refuse(rule: RuleName, offset: number | undefined, data: RequestData | undefined): ClosingEvent {
    const cause = this.blame("peer", rule, offset);
    this.respondFinally(refusal(this.rules[rule] as Rule, data));
    return { type: "closing", code: ABNORMAL, reason: cause.message, cause };
  }

  /** The request that awaits an answer; undefined where it is too late for one. */
  private requireRequest(): ExaminedRequest | undefined {
    if (this.state === "closing" || this.state === "closed") return undefined;
    if (this.examined !== undefined) return this.examined;
    throw new UsageError(
      "bad-state",
      this.state === "open" ? "the request was accepted" : "no request yet: wait for the `request` event",
    );
  }

  /** Sends a response after which the connection ends. */
  private respondFinally(response: ResponseData): void {
    this.parser = undefined;
    if (this.settings.http === "external") {
      this.response = response;
    } else {
      const { status, body = NO_BODY } = response;
      const headers: (readonly [string, string])[] = [...response.headers];
      // RFC 9110 7.8: Upgrade goes with a Connection option of its name.
      const upgrade = headerValues(headers, "upgrade").length > 0;
      headers.push(["Connection", upgrade ? "Upgrade, close" : "close"]);
      const hasBody = status !== 304; // RFC 9110 15.4.5
      if (hasBody) headers.push(["Content-Length", String(body.length)]);
      this.respond({ ...response, headers });
      if (hasBody) this.output.copy(body);
    }
    this.step("rejected");
  }

  private respond(response: ResponseData): void {
    if (this.settings.http === "external") {
      this.response = response;
      return;
    }
    const { status, headers } = response;
    this.output.writeLatin1(
      formatHead(`HTTP/1.1 ${status} ${response.reason ?? REASONS[status] ?? ""}`, headers),
    );
  }
}

const NO_BODY = new Uint8Array(0);

/** Reason phrases, for people who read along (RFC 9110 15.1). */
const REASONS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  414: "URI Too Long",
  426: "Upgrade Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};
