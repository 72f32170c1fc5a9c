import type { Connection } from "../connection.js";
import type { ClosedEvent, ClosingEvent, ConnectionEvent, OpenEvent, RejectedEvent } from "../events.js";
import type { Agreement } from "../handshake/extensions.js";
import type { HeaderList } from "../handshake/headers.js";
import type { HandshakeRequest } from "../handshake/request.js";
import type { BinaryEvent, TextEvent } from "../message/events.js";
import type { SendOptions } from "../message/prepared.js";
import { PreparedMessage } from "../message/prepared.js";
import type { MessageWriter } from "../message/writer.js";
import type { Host, Sink, Transport } from "./pump.js";
import { Pump } from "./pump.js";

/** A message, or with `streaming` a piece of one. */
export type Message = TextEvent | BinaryEvent;

/**
 * What an application may want to be told. What a handler returns is ignored, but for a promise: where it rejects, or the
 * handler throws, the connection is closed with 1011.
 */
export interface Handlers<Context = unknown> {
  /** The connection is open. */
  open?(this: void, peer: Peer<Context>): unknown;
  /**
   * A message came. With this handler messages are pushed, as fast as they come; a promise that it returns is not waited
   * for. Without it they are pulled: iterate over the peer, and whoever iterates slowly slows the sender down. Who does
   * neither stops at the first message: to drop messages, pass a handler that does nothing. Once the transport is over, up to 16 MiB of
   * what had arrived are kept for who iterates; where there was more, iterating ends with an error.
   */
  message?(this: void, peer: Peer<Context>, message: Message): unknown;
  /** The transport was full, so that `send` returned false or would have, and now there is room again. */
  drain?(this: void, peer: Peer<Context>): unknown;
  /** The connection was open, and is over. */
  close?(this: void, peer: Peer<Context>, closed: ClosedEvent): unknown;
  /** Another handler threw or rejected. Default: it is printed. */
  error?(this: void, error: unknown, peer: Peer<Context> | undefined): void;
}

/** What the adapters themselves are told, before the application. Of which peer, so that one serves all of a server's. */
export interface Opening<Context> {
  onRequest?(peer: Peer<Context>, request: HandshakeRequest): void;
  onOpen?(peer: Peer<Context>, event: OpenEvent): void;
  onRejected?(peer: Peer<Context>, event: RejectedEvent): void;
  onClosing?(peer: Peer<Context>, event: ClosingEvent): void;
  onClosed?(peer: Peer<Context>, event: ClosedEvent): void;
}

/** The other side of a connection, as an application sees it: on servers and clients, on every runtime, the same. */
export class Peer<Context = unknown> implements AsyncIterable<Message>, Sink {
  /** What the server's `upgrade` hook gave as `context`. */
  context: Context = undefined as Context;
  /** The request, on a server; undefined on a client. */
  request: HandshakeRequest | undefined;
  /** The subprotocol in use; undefined for none. */
  subprotocol: string | undefined;
  /** The extensions in use. */
  extensions: readonly Agreement[] = [];
  /** The headers of the response that opened the connection. */
  headers: HeaderList = [];
  /** @internal */
  readonly pump: Pump;
  private readonly connection: Connection;
  private readonly handlers: Handlers<Context>;
  private readonly opening: Opening<Context>;
  private readonly host: Host;
  private wasOpen = false;
  private closedEvent: ClosedEvent | undefined;
  // An idle peer holds none of these lists.
  private awaitingClosed: ((event: ClosedEvent) => void)[] | undefined;
  /** Messages that nobody has read: at most one, while the transport lives. */
  private unread: Message[] | undefined;
  /** How many bytes were added to them since the transport is over, or since there were none. */
  private unreadSize = 0;
  /** There were too many: each who iterates is told. */
  private hasDropped = false;
  private awaitingMessage: Reader[] | undefined;
  private awaitingDrain: ((writable: boolean) => void)[] | undefined;
  private awaitingPong: Map<string, PingOut> | undefined;
  private iterators = 0;
  /** The application has closed the connection: from then on messages that nobody reads are dropped. */
  private closedHere = false;
  private terminated = false;
  private pingCount = 0;

  /** @internal */
  constructor(
    connection: Connection,
    transport: Transport,
    host: Host,
    handlers: Handlers<Context>,
    opening: Opening<Context> = {},
  ) {
    this.connection = connection;
    this.handlers = handlers;
    this.opening = opening;
    this.host = host;
    this.pump = new Pump(connection, transport, host, this);
  }

  /** Resolves when the connection is over, however that came about. It never rejects. */
  get closed(): Promise<ClosedEvent> {
    if (this.closedEvent !== undefined) return Promise.resolve(this.closedEvent);
    return new Promise((resolve) => {
      (this.awaitingClosed ??= []).push(resolve);
    });
  }

  get state(): "connecting" | "open" | "closing" | "closed" {
    return this.connection.state;
  }

  /** Bytes that were sent here and have not been handed to the system. */
  get bufferedAmount(): number {
    return this.pump.bufferedAmount;
  }

  /** The address at the other end, where the transport knows one. */
  get remoteAddress(): string | undefined {
    return this.pump.transport.remoteAddress;
  }

  /**
   * Sends a text (a string), a binary message (bytes; do not change them until they are written), or a prepared one.
   * @returns true: go on. False: it is queued, but the peer is slow, wait for `drained()`; or it is too late and nothing was
   * sent: then `drained()` is false.
   * @throws {UsageError} "bad-argument", or "bad-state" inside a fragmented message
   */
  send(message: string | Uint8Array | PreparedMessage, options?: SendOptions): boolean {
    const { connection } = this;
    const sent =
      typeof message === "string"
        ? connection.sendText(message, options)
        : message instanceof PreparedMessage
          ? connection.sendPrepared(message)
          : connection.sendBinary(message, options);
    this.pump.commanded(); // too late, too: what waited may have been too much
    return sent && this.pump.isWritable;
  }

  /** Resolves once more can be sent: true; or false: it is too late. */
  drained(): Promise<boolean> {
    if (this.pump.isWritable || this.state !== "open") return Promise.resolve(this.pump.isWritable);
    return new Promise((resolve) => {
      (this.awaitingDrain ??= []).push(resolve);
    });
  }

  /** Begins a message that is sent in fragments: see `Connection.startMessage`. */
  startMessage(kind: "text" | "binary", options?: SendOptions): PeerMessageWriter {
    return new PeerMessageWriter(this.connection.startMessage(kind, options), this.pump);
  }

  /**
   * Sends a ping; resolves with the round-trip time in milliseconds, or with undefined where the connection ends before. What
   * came before the pong has to be read first.
   */
  ping(): Promise<number | undefined> {
    const payload = new Uint8Array(4);
    new DataView(payload.buffer).setUint32(0, ++this.pingCount);
    if (!this.connection.ping(payload)) return Promise.resolve(undefined);
    this.pump.commanded();
    return new Promise((resolve) => {
      (this.awaitingPong ??= new Map<string, PingOut>()).set(payload.join(), {
        sentAt: this.host.now(),
        resolve,
      });
    });
  }

  /**
   * Starts the closing handshake. Messages still come until the peer's Close: to the `message` handler, and to those who
   * iterate.
   * @returns false where it is too late
   * @throws {UsageError} "bad-close-code", "bad-reason"
   */
  close(code = 1000, reason = ""): boolean {
    return this.startClosing(code, reason);
  }

  /** @internal As `close`; without a code the Close is empty, as the WHATWG classes send it. */
  startClosing(code: number | undefined, reason: string): boolean {
    const done = this.connection.close(code, reason);
    this.closedHere = true;
    this.tellDrained(false);
    this.pump.run();
    return done;
  }

  /** Drops the transport at once. The other side sees an abnormal end (1006). */
  terminate(): void {
    if (this.closedEvent !== undefined) this.pump.drop(); // its last bytes may still be on their way
    this.terminated = true;
    this.hasDropped = false;
    this.forgetUnread();
    this.connection.transportLost(new Error("terminate() was called"), "local");
    this.pump.run();
  }

  /** The messages, until the connection is over. Reading slowly slows the sender down. Leaving the loop closes nothing. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    if (this.handlers.message !== undefined) {
      throw new TypeError("messages go to the `message` handler: leave it out to iterate");
    }
    this.iterators++;
    let live = true;
    const waiting = new Set<Reader>();
    const stop = (): void => {
      if (!live) return;
      live = false;
      this.iterators--;
      // The next message is for somebody else.
      this.awaitingMessage = this.awaitingMessage?.filter((reader) => !waiting.has(reader));
      for (const reader of waiting) reader(undefined);
      this.pump.run();
    };
    const iterator: AsyncIterableIterator<Message> = {
      next: async () => {
        const message = live ? await this.read(waiting) : undefined;
        if (message !== undefined) return { done: false, value: message };
        const dropped = live && this.hasDropped;
        stop();
        if (dropped) throw new Error(DROPPED);
        return { done: true, value: undefined };
      },
      return: () => {
        stop();
        return Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** The next message; undefined once there are no more. While it is awaited, whoever gets it is one of `waiting`. */
  private read(waiting: Set<Reader>): Promise<Message | undefined> {
    const message = this.unread?.shift();
    if (this.unread?.length === 0) this.forgetUnread();
    if (message !== undefined) {
      this.pump.run();
      return Promise.resolve(message);
    }
    if (this.hasDropped || this.closedEvent !== undefined) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const reader: Reader = (next) => {
        waiting.delete(reader);
        resolve(next);
      };
      waiting.add(reader);
      (this.awaitingMessage ??= []).push(reader);
      this.pump.run();
    });
  }

  // From the pump

  /** @internal */
  wantsEvents(): boolean {
    return this.unread === undefined || this.pump.inputOver || this.isForsaken;
  }

  /** @internal */
  event(event: ConnectionEvent): void {
    switch (event.type) {
      case "text":
      case "binary":
        this.message(event);
        return;
      case "request":
        this.opening.onRequest?.(this, event.request);
        return;
      case "open":
        this.wasOpen = true;
        this.subprotocol = event.subprotocol;
        this.extensions = event.extensions;
        this.headers = event.headers ?? [];
        this.opening.onOpen?.(this, event);
        this.watch(this.handlers.open?.(this));
        return;
      case "rejected":
        this.opening.onRejected?.(this, event);
        return;
      case "pong":
        this.pong(event.payload.join(), event.roundTripTime);
        return;
      case "closed":
        this.over(event);
        return;
      case "closing":
        this.opening.onClosing?.(this, event);
        return;
      case "ping":
        return;
    }
  }

  /** @internal */
  writable(): void {
    if (this.state !== "open") {
      this.tellDrained(false);
      return;
    }
    this.tellDrained(true);
    try {
      this.watch(this.handlers.drain?.(this));
    } catch (error) {
      this.pump.fail(error);
    }
    this.pump.run();
  }

  /** @internal */
  failed(error: unknown): void {
    reportTo(this.handlers, this.host, error, this);
  }

  /** Once the application has closed the connection, messages that nobody reads must not keep it from ending. */
  private get isForsaken(): boolean {
    return this.closedHere && this.iterators === 0;
  }

  private forgetUnread(): void {
    this.unread = undefined;
    this.unreadSize = 0;
  }

  private message(message: Message): void {
    if (this.terminated) return;
    if (this.handlers.message !== undefined) {
      this.watch(this.handlers.message(this, message));
      return;
    }
    const reader = this.awaitingMessage?.shift();
    if (reader !== undefined) reader(message);
    else if (this.isForsaken) return;
    else if (this.unreadSize >= MOST_UNREAD) this.hasDropped = true;
    else {
      (this.unread ??= []).push(message);
      if (this.pump.inputOver) this.unreadSize += message.size; // what was stored is bounded, but not what it inflates to
    }
  }

  private pong(answered: string, roundTripTime: number | undefined): void {
    if (this.awaitingPong?.has(answered) !== true) return;
    // RFC 6455 5.5.3: a pong answers the pings before its own, too
    for (const [payload, { sentAt, resolve }] of this.awaitingPong) {
      this.awaitingPong.delete(payload);
      resolve(roundTripTime ?? this.host.now() - sentAt); // a connection does not remember any number of pings
      if (payload === answered) return;
    }
  }

  private over(event: ClosedEvent): void {
    this.closedEvent = event;
    for (const resolve of this.awaitingMessage ?? []) resolve(undefined);
    this.tellDrained(false);
    for (const { resolve } of this.awaitingPong?.values() ?? []) resolve(undefined);
    for (const resolve of this.awaitingClosed ?? []) resolve(event);
    this.awaitingMessage = this.awaitingPong = this.awaitingClosed = undefined;
    this.opening.onClosed?.(this, event);
    if (this.wasOpen) this.watch(this.handlers.close?.(this, event));
  }

  private tellDrained(writable: boolean): void {
    const waiting = this.awaitingDrain ?? [];
    this.awaitingDrain = undefined;
    for (const resolve of waiting) resolve(writable);
  }

  /** What an asynchronous handler rejects with is not lost. */
  private watch(result: unknown): void {
    if (!isThenable(result)) return;
    result.then(undefined, (error: unknown) => {
      this.pump.fail(error);
      this.pump.run();
    });
  }
}

/** Whoever awaits a message, or that there are no more. */
type Reader = (message: Message | undefined) => void;

/** What is kept of messages that nobody reads once the transport is over, in bytes: the last of them may go beyond. */
const MOST_UNREAD = 16_777_216;
const DROPPED =
  "messages were dropped: more than 16 MiB of them were unread when the transport ended. Read them as fast as they come, or pass a `message` handler.";

interface PingOut {
  readonly sentAt: number;
  readonly resolve: (roundTripTime: number | undefined) => void;
}

/** What goes wrong in a handler is never lost: without an `error` handler, or where that fails, the host tells of it. */
export function reportTo<Context>(
  handlers: Handlers<Context>,
  host: Host,
  error: unknown,
  peer: Peer<Context> | undefined,
): void {
  try {
    if (handlers.error === undefined) host.report(error);
    else handlers.error(error, peer);
  } catch (second) {
    host.report(second);
  }
}

/** Whether `value` is a promise, of whatever library or realm. */
export function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** Sends one message in fragments, each on its way at the end of the turn. */
export class PeerMessageWriter {
  private readonly writer: MessageWriter;
  private readonly pump: Pump;

  /** @internal */
  constructor(writer: MessageWriter, pump: Pump) {
    this.writer = writer;
    this.pump = pump;
  }

  /** Sends a part as a fragment. Returns as `Peer.send` does; throws as `MessageWriter.write` does. */
  write(part: string | Uint8Array): boolean {
    return this.sent(this.writer.write(part));
  }

  /** Ends the message, with a last part or without. */
  end(part?: string | Uint8Array): boolean {
    return this.sent(part === undefined ? this.writer.end() : this.writer.end(part));
  }

  private sent(done: boolean): boolean {
    this.pump.commanded();
    return done && this.pump.isWritable;
  }
}
