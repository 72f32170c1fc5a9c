import { PHASES } from "./closing.js";
import { Connection } from "./connection.js";
import { UsageError } from "./errors.js";
import type { ConnectionEvent } from "./events.js";
import { BodyReader } from "./handshake/body.js";
import { formatHead, HeadParser, judgeStatusLine } from "./handshake/head.js";
import type { HeaderInput } from "./handshake/headers.js";
import { checkHeaders, quote } from "./handshake/headers.js";
import { createKey } from "./handshake/key.js";
import type { ResponseData } from "./handshake/negotiation.js";
import {
  areSubprotocols,
  examineResponse,
  isHandshakeHeader,
  requestHeaders,
} from "./handshake/negotiation.js";
import type { RequestData } from "./handshake/request.js";
import { parseUrl } from "./handshake/url.js";
import type { RuleTable } from "./rules.js";
import { CLIENT_RULES } from "./rules.js";
import type { Options, Settings } from "./settings.js";

/** What a client asks for. */
export interface ClientRequest {
  /** ws:, wss:, http: or https:, in ASCII, as the URL class leaves it. */
  readonly url: string;
  /** The subprotocols to offer, the preferred first: distinct tokens. Default none. */
  readonly subprotocols?: readonly string[] | undefined;
  /** Further headers of the request: cookies or authorization, for example. */
  readonly headers?: HeaderInput | undefined;
  /** The Origin header, which a browser would send. Default none. */
  readonly origin?: string | undefined;
  /** With `http: "external"`: an extended CONNECT (RFC 8441), or HTTP/1.1's GET as data. Default "CONNECT". */
  readonly method?: "GET" | "CONNECT" | undefined;
}

/** The client's side, from the request of the opening handshake (RFC 6455 4.1), which is queued at once. */
export class ClientConnection extends Connection {
  /** The request; with `http: "external"` it is to be sent by the caller. */
  readonly request: RequestData;
  private readonly key: string | undefined;
  private readonly subprotocols: readonly string[];
  private parser: HeadParser | undefined;
  private body: { readonly reader: BodyReader; readonly response: ResponseData } | undefined;
  /** Informational responses so far. */
  private informational = 0;

  /**
   * @throws {UsageError} "bad-url", "bad-subprotocol", "bad-header", "bad-option", or "no-entropy" for a platform without
   * `random`
   */
  constructor(request: string | ClientRequest, options: Options | Settings) {
    super("client", options, PHASES.head);
    const {
      url,
      subprotocols = [],
      headers,
      origin,
      method,
    } = typeof request === "string" ? { url: request } : request;
    const { secure, authority, target } = parseUrl(url);
    if (!Array.isArray(subprotocols) || !areSubprotocols(subprotocols)) {
      throw new UsageError(
        "bad-subprotocol",
        `subprotocols must be distinct tokens (RFC 6455 4.1), not ${quote(subprotocols)}`,
      );
    }
    const { extensions, http, platform } = this.settings;
    const further = checkHeaders(
      headers,
      (name) => isHandshakeHeader(name) || (name === "origin" && origin !== undefined),
    );
    if (origin !== undefined) checkHeaders({ origin }, () => false);
    const extended = http === "external" && method !== "GET";
    this.subprotocols = subprotocols;
    this.key = extended || platform.random === undefined ? undefined : createKey(platform.random);
    const list = [...requestHeaders(this.key, origin, subprotocols, extensions), ...further];
    if (extended) {
      const scheme = secure ? "https" : "http";
      this.request = { method: "CONNECT", protocol: "websocket", scheme, authority, target, headers: list };
    } else {
      this.request = { method: "GET", target, authority, headers: [["Host", authority], ...list] };
      if (http === "1.1") this.output.writeLatin1(formatHead(`GET ${target} HTTP/1.1`, this.request.headers));
    }
  }

  /**
   * Takes the response to `request`, in place of its bytes: with `http: "external"`. `complete`: its body is all there.
   * @throws {UsageError} "bad-state" without that option and after a response
   */
  receiveResponse(response: ResponseData, complete = true): void {
    if (this.state === "closed" || this.state === "closing") return;
    if (this.settings.http !== "external" || this.phase !== PHASES.head) {
      throw new UsageError("bad-state", 'a response is taken once, with `http: "external"`');
    }
    // RFC 9110 15.2: interim responses come before the one that counts
    if (response.status < 200 && response.status !== 101) return;
    this.readClock();
    const event = this.examine(response);
    if (event !== undefined) this.tell(event);
    if (this.body !== undefined) this.tell(this.rejected(response, response.body ?? NO_BODY, complete));
  }

  /** @internal */
  protected override get rules(): RuleTable {
    return CLIENT_RULES;
  }

  /** @internal */
  protected override nextOpeningEvent(): ConnectionEvent | undefined {
    const { input, settings } = this;
    if (settings.http === "external") return undefined;
    while (this.phase === PHASES.head && (input.position < input.end || input.advance())) {
      if (this.body !== undefined) {
        input.position = this.body.reader.read(input.bytes, input.position, input.end);
        if (this.body.reader.done) break;
        continue;
      }
      const parser = (this.parser ??= new HeadParser(settings.limits, judgeStatusLine));
      input.position = parser.read(input.bytes, input.position, input.end);
      if (parser.fault !== undefined) return this.fail(parser.fault, input.offset - 1);
      if (!parser.done) continue;
      this.parser = undefined;
      const { startLine, headers } = parser;
      const response = { status: Number(startLine.slice(9, 12)), reason: startLine.slice(13), headers };
      // RFC 9110 15.2: interim responses come before the one that counts; HTTP/1.0 knows none, and no 101.
      if (response.status >= 200 || (response.status === 101 && startLine[7] !== "0")) {
        const event = this.examine(response);
        if (event !== undefined) return event;
      } else if (response.status === 101 || ++this.informational > settings.limits.informational) {
        return this.fail("response-status", input.offset - 1);
      }
    }
    if (this.body === undefined) return undefined;
    const { reader, response } = this.body;
    if (!reader.done && input.ended) reader.end(this.transport !== "destroy");
    if (!reader.done) return undefined;
    return this.rejected(response, reader.take(), reader.complete);
  }

  /** Opens the connection, fails it, or has the body of a rejection read. */
  private examine(response: ResponseData): ConnectionEvent | undefined {
    const { extensions, limits, platform } = this.settings;
    const examined = examineResponse(response, this.key, this.subprotocols, extensions, platform);
    if (examined === "rejected") {
      this.body = { reader: new BodyReader(response.status, response.headers, limits.body), response };
      return undefined;
    }
    if (typeof examined === "string") {
      return this.fail(examined, this.settings.http === "external" ? undefined : this.input.offset - 1);
    }
    const { subprotocol, agreed } = examined;
    this.opened(
      { type: "open", subprotocol, extensions: agreed.extensions, headers: response.headers },
      agreed.coding,
    );
    return undefined;
  }

  private rejected(
    { status, reason = "", headers }: ResponseData,
    body: Uint8Array,
    complete: boolean,
  ): ConnectionEvent {
    this.body = undefined;
    this.blame("peer", "rejected");
    this.step("rejected");
    return { type: "rejected", status, reason, headers, body, complete };
  }
}

const NO_BODY = new Uint8Array(0);
