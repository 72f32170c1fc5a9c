import type { Connection } from "../connection.js";
import type {
  BinaryEvent,
  ClosedEvent,
  ConnectionEvent,
  OpenEvent,
  RejectedEvent,
  TextEvent,
} from "../events.js";
import type { Agreement } from "../handshake/extensions.js";
import type { HeaderList } from "../handshake/headers.js";
import type { HandshakeRequest } from "../handshake/request.js";
import { PreparedMessage } from "../message/prepared.js";
import type { MessageWriter } from "../message/writer.js";

// What every adapter shares: the loop that drives a connection, and the peer that an application holds. Neither knows a
// runtime: what is below comes in as a `Transport`, and time as `Timers`.

/** What moves the bytes. It calls back into the `Pump`: `receive`, `receiveEnd`, `writable`, `lost`. */
export interface Transport {
  /** Queues chunks, in order. False: take no more output until the transport is writable again, and say so then. */
  write(chunks: readonly Uint8Array[]): boolean;
  /** Bytes queued here and not handed to the system. */
  readonly pending: number;
  /** Ends the write side once all is written, and goes on reading. */
  end(): void;
  /** Gives everything up at once. */
  destroy(): void;
  /** Reads, or stops reading. */
  read(on: boolean): void;
  /** Who is at the other end, where it is known. */
  readonly remoteAddress?: string | undefined;
}

/** The host's timers. */
export interface Timers {
  /** The clock that the connection was given. */
  now(): number;
  /** Calls `run` once, after so many milliseconds; returns what takes it back. It must not keep a process alive. */
  after(milliseconds: number, run: () => void): () => void;
}

/** A message, or with `streaming` a piece of one. */
export type Message = TextEvent | BinaryEvent;

/** What an application may want to be told. A handler that throws or rejects closes the connection with 1011. */
export interface Handlers<Context = unknown> {
  /** The connection is open. */
  open?(this: void, peer: Peer<Context>): void | Promise<void>;
  /**
   * A message came. With this handler messages are pushed, as fast as they come; a promise that it returns is not waited
   * for. Without it they are pulled: iterate over the peer, and whoever iterates slowly slows the sender down.
   */
  message?(this: void, peer: Peer<Context>, message: Message): void | Promise<void>;
  /** `send` returned false, and now there is room again. */
  drain?(this: void, peer: Peer<Context>): void | Promise<void>;
  /** The connection is over. */
  close?(this: void, peer: Peer<Context>, closed: ClosedEvent): void | Promise<void>;
  /** Another handler threw or rejected. */
  error?(this: void, error: unknown, peer: Peer<Context> | undefined): void;
}

/** What the adapters themselves are told. */
export interface Opening {
  request?(request: HandshakeRequest): void;
  open?(event: OpenEvent): void;
  rejected?(event: RejectedEvent): void;
  closed?(event: ClosedEvent): void;
}

/** Output is written at once past this many bytes, else once per turn. */
const FLUSH_AT = 65536;

/** The longest delay that timers know; a longer one fires at once. */
const MAX_DELAY = 2 ** 31 - 1;

/** How long a closed connection's last bytes may take to leave, in milliseconds. */
const LAST_WRITE_TIMEOUT = 10_000;

/** Drives a connection over a transport: events out to the application, output down to the transport, time in. */
export class Pump<Context = unknown> {
  readonly peer: Peer<Context>;
  readonly connection: Connection;
  private readonly transport: Transport;
  private readonly timers: Timers;
  private readonly handlers: Handlers<Context>;
  private readonly opening: Opening;

  /** Guards against re-entry: a handler's commands are carried out by the turn that called it. */
  private running = false;
  private flushPlanned = false;
  /** The transport takes no more until it is writable. */
  private blocked = false;
  private ended = false;
  private destroyed = false;
  private inputEnded = false;
  private forgotten = false;
  private reading = true;
  private armedFor = Infinity;
  private disarm: (() => void) | undefined;

  // Pulling
  private readonly unread: Message[] = [];
  private readonly takers: ((message: Message | undefined) => void)[] = [];
  private iterators = 0;
  private closedHere = false;
  /** Messages go nowhere: the application closed the connection and reads no more. */
  private muted = false;

  private readonly awaitingDrain: ((writable: boolean) => void)[] = [];
  private readonly awaitingPong = new Map<string, (roundTripTime: number | undefined) => void>();
  private pingCount = 0;
  closedEvent: ClosedEvent | undefined;
  /** Resolves with the last event. */
  readonly closed: Promise<ClosedEvent>;
  private tellClosed: (event: ClosedEvent) => void = () => undefined;

  constructor(
    connection: Connection,
    transport: Transport,
    timers: Timers,
    handlers: Handlers<Context>,
    opening: Opening = {},
  ) {
    this.connection = connection;
    this.transport = transport;
    this.timers = timers;
    this.handlers = handlers;
    this.opening = opening;
    this.closed = new Promise((resolve) => {
      this.tellClosed = resolve;
    });
    this.peer = new Peer(this, transport);
  }

  // From the transport

  receive(bytes: Uint8Array, owned: boolean): void {
    this.connection.receive(bytes, owned);
    this.run();
  }

  receiveEnd(): void {
    this.inputEnded = true;
    this.connection.receiveEnd();
    this.run();
  }

  writable(): void {
    this.blocked = false;
    this.run();
    if (!this.isWritable) return;
    for (const resolve of this.awaitingDrain.splice(0)) resolve(true);
    if (this.handlers.drain !== undefined) {
      this.call(this.handlers.drain);
      this.run();
    }
  }

  /** The transport is gone; harmless where that was known. */
  lost(error?: unknown): void {
    this.destroyed = true;
    this.connection.transportLost(error);
    this.run();
  }

  // From the application

  /** Whether the transport takes more at once. */
  get isWritable(): boolean {
    return !this.blocked && this.connection.state === "open";
  }

  get bufferedAmount(): number {
    return this.connection.outputSize + this.transport.pending;
  }

  /** A command was given: sees that its output leaves, within this turn. */
  commanded(): void {
    if (this.connection.outputSize >= FLUSH_AT) {
      if (this.running) this.flush();
      else this.run();
    } else if (!this.running && !this.flushPlanned) {
      this.flushPlanned = true;
      void Promise.resolve().then(() => {
        this.flushPlanned = false;
        this.run();
      });
    }
  }

  /** The application closes the connection: messages still come to those who iterate, and to nobody else. */
  closing(): void {
    this.closedHere = true;
    if (this.iterators === 0 && this.handlers.message === undefined) this.mute();
  }

  private mute(): void {
    this.muted = true;
    this.unread.length = 0;
  }

  terminate(): void {
    this.mute();
    this.connection.transportLost(new Error("the connection was terminated here"));
    this.run();
  }

  drained(): Promise<boolean> {
    if (this.isWritable || this.connection.state !== "open") return Promise.resolve(this.isWritable);
    return new Promise((resolve) => {
      this.awaitingDrain.push(resolve);
    });
  }

  ping(): Promise<number | undefined> {
    const payload = new Uint8Array(4);
    new DataView(payload.buffer).setUint32(0, ++this.pingCount);
    if (!this.connection.ping(payload)) return Promise.resolve(undefined);
    this.commanded();
    return new Promise((resolve) => {
      this.awaitingPong.set(payload.join(), resolve);
    });
  }

  /** The next message; undefined once there are no more. */
  take(): Promise<Message | undefined> {
    const message = this.unread.shift();
    if (message !== undefined) {
      this.run();
      return Promise.resolve(message);
    }
    if (this.closedEvent !== undefined) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.takers.push(resolve);
      this.run();
    });
  }

  iterating(by: 1 | -1): void {
    this.iterators += by;
    if (this.iterators > 0 || !this.closedHere) return;
    this.mute();
    this.run();
  }

  get pushes(): boolean {
    return this.handlers.message !== undefined;
  }

  // The loop

  /** One turn: events, output, the transport's level, the timer. */
  run(): void {
    if (this.running) return;
    this.running = true;
    try {
      do {
        this.pull();
        this.flush();
        // Taking the last output can bring the last event.
      } while (this.connection.state === "closed" && this.closedEvent === undefined && this.wantsEvents);
    } finally {
      this.running = false;
    }
    this.applyLevel();
    this.arm();
  }

  private pull(): void {
    for (;;) {
      try {
        while (this.wantsEvents) {
          const event = this.connection.nextEvent();
          if (event === undefined) return;
          this.dispatch(event);
          if (this.connection.outputSize >= FLUSH_AT) this.flush();
        }
        return;
      } catch (error) {
        this.failed(error);
      }
    }
  }

  /** A message that nobody has read stops the rest, and in the end the sender; but no longer than the transport lives. */
  private get wantsEvents(): boolean {
    return this.unread.length === 0 || this.destroyed || this.inputEnded;
  }

  private dispatch(event: ConnectionEvent): void {
    switch (event.type) {
      case "text":
      case "binary": {
        const { message } = this.handlers;
        if (this.muted) return;
        if (message === undefined) {
          const taker = this.takers.shift();
          if (taker === undefined) this.unread.push(event);
          else taker(event);
          return;
        }
        const result = message(this.peer, event);
        if (result !== undefined) this.watch(result);
        return;
      }
      case "request":
        this.opening.request?.(event.request);
        return;
      case "open":
        this.peer.opened(event);
        this.opening.open?.(event);
        if (this.handlers.open !== undefined) this.call(this.handlers.open);
        return;
      case "rejected":
        this.opening.rejected?.(event);
        return;
      case "pong": {
        const answered = event.payload.join();
        if (!this.awaitingPong.has(answered)) return;
        // RFC 6455 5.5.3: a pong answers the pings before its own, too
        for (const [key, resolve] of this.awaitingPong) {
          this.awaitingPong.delete(key);
          resolve(event.roundTripTime);
          if (key === answered) return;
        }
        return;
      }
      case "closed":
        this.finish(event);
        return;
      case "ping":
      case "closing":
        return;
    }
  }

  private finish(event: ClosedEvent): void {
    this.closedEvent = event;
    for (const resolve of this.takers.splice(0)) resolve(undefined);
    for (const resolve of this.awaitingDrain.splice(0)) resolve(false);
    for (const resolve of this.awaitingPong.values()) resolve(undefined);
    this.awaitingPong.clear();
    this.tellClosed(event);
    this.opening.closed?.(event);
    if (this.peer.wasOpen && this.handlers.close !== undefined) {
      const result = this.handlers.close(this.peer, event);
      if (result !== undefined) this.watch(result);
    }
  }

  /** Calls a handler outside of `pull`, or one that is told no more than the peer. */
  private call(handler: (peer: Peer<Context>) => void | Promise<void>): void {
    try {
      const result = handler(this.peer);
      if (result !== undefined) this.watch(result);
    } catch (error) {
      this.failed(error);
    }
  }

  private watch(result: Promise<void>): void {
    result.then(undefined, (error: unknown) => {
      this.failed(error);
      this.run();
    });
  }

  /** A handler failed: the peer is told 1011, the application what it was. */
  private failed(error: unknown): void {
    if (this.connection.state === "open") this.connection.close(1011, "internal error");
    this.handlers.error?.(error, this.peer);
  }

  private flush(): void {
    if (this.blocked) return;
    const chunks = this.connection.takeOutput();
    if (chunks !== undefined && !this.destroyed) this.blocked = !this.transport.write(chunks);
  }

  private applyLevel(): void {
    const { connection, transport } = this;
    const level = connection.transport;
    if (this.destroyed) return;
    if (level === "destroy") {
      this.destroyed = true;
      transport.destroy();
      return;
    }
    if (level === "end" && !this.ended && connection.outputSize === 0) {
      this.ended = true;
      transport.end();
    }
    const closed = connection.state === "closed";
    if (closed && !this.forgotten) {
      this.forgotten = true;
      // The connection has no deadline any more; what the transport still holds of it has one.
      if (transport.pending > 0) {
        this.timers.after(LAST_WRITE_TIMEOUT, () => {
          transport.destroy();
        });
      }
    }
    const reading = connection.wantsInput || closed;
    if (reading !== this.reading) {
      this.reading = reading;
      transport.read(reading);
    }
  }

  private arm(): void {
    const deadline = this.connection.deadline ?? Infinity;
    if (deadline === Infinity) {
      if (this.closedEvent !== undefined) this.disarm?.();
      return; // else the timer that is set finds nothing due
    }
    if (deadline >= this.armedFor) return; // the timer that is set will see
    this.disarm?.();
    this.armedFor = deadline;
    const delay = Math.min(Math.max(Math.ceil(deadline - this.timers.now()), 0), MAX_DELAY);
    this.disarm = this.timers.after(delay, () => {
      this.armedFor = Infinity;
      this.connection.handleTimeout();
      this.run();
    });
  }
}

/** The other side of a connection, as an application sees it: on servers and clients, on every runtime, the same. */
export class Peer<Context = unknown> implements AsyncIterable<Message> {
  /** What the server's `upgrade` hook gave as `context`. */
  context: Context = undefined as Context;
  /** The request that a server accepted; undefined on a client. */
  request: HandshakeRequest | undefined;
  /** The subprotocol in use; undefined for none. */
  subprotocol: string | undefined;
  /** The extensions in use. */
  extensions: readonly Agreement[] = [];
  /** The headers of the response that opened the connection. */
  headers: HeaderList = [];
  /** @internal */
  wasOpen = false;
  private readonly pump: Pump<Context>;
  private readonly transport: Transport;

  /** @internal */
  constructor(pump: Pump<Context>, transport: Transport) {
    this.pump = pump;
    this.transport = transport;
  }

  /** @internal */
  opened(event: OpenEvent): void {
    this.wasOpen = true;
    this.subprotocol = event.subprotocol;
    this.extensions = event.extensions;
    this.headers = event.headers ?? [];
  }

  get state(): "connecting" | "open" | "closing" | "closed" {
    return this.pump.connection.state;
  }

  /** Bytes that were sent here and have not been handed to the system. */
  get bufferedAmount(): number {
    return this.pump.bufferedAmount;
  }

  /** The address at the other end, where the transport knows one. */
  get remoteAddress(): string | undefined {
    return this.transport.remoteAddress;
  }

  /** Resolves when the connection is over, however that came about. It never rejects. */
  get closed(): Promise<ClosedEvent> {
    return this.pump.closed;
  }

  /**
   * Sends a text (a string), a binary message (bytes; do not change them until they are written), or a prepared one.
   * @returns true: go on. False: it is queued, but the peer is slow, wait for `drained()`; or it is too late and nothing was
   * sent: then `drained()` is false.
   * @throws {UsageError} "bad-argument", or "bad-state" inside a fragmented message
   */
  send(message: string | Uint8Array | PreparedMessage): boolean {
    const { connection } = this.pump;
    const sent =
      typeof message === "string"
        ? connection.sendText(message)
        : message instanceof PreparedMessage
          ? connection.sendPrepared(message)
          : connection.sendBinary(message);
    if (!sent) return false;
    this.pump.commanded();
    return this.pump.isWritable;
  }

  /** Resolves once more can be sent: true; or false: the connection is over. */
  drained(): Promise<boolean> {
    return this.pump.drained();
  }

  /** Begins a message that is sent in fragments: see `Connection.startMessage`. */
  startMessage(kind: "text" | "binary"): PeerMessageWriter {
    return new PeerMessageWriter(this.pump.connection.startMessage(kind), this.pump);
  }

  /** Sends a ping; resolves with the round-trip time in milliseconds, or with undefined where the connection ends before. */
  ping(): Promise<number | undefined> {
    return this.pump.ping();
  }

  /**
   * Starts the closing handshake. Messages still come until the peer's Close, to those who read them.
   * @returns false where it is too late
   * @throws {UsageError} "bad-close-code", "bad-reason"
   */
  close(code = 1000, reason = ""): boolean {
    const done = this.pump.connection.close(code, reason);
    this.pump.closing();
    this.pump.run();
    return done;
  }

  /** Drops the transport at once. The other side sees an abnormal end (1006). */
  terminate(): void {
    this.pump.terminate();
  }

  /** The messages, until the connection is over. Reading slowly slows the sender down. Leaving the loop closes nothing. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    const { pump } = this;
    if (pump.pushes) throw new TypeError("messages go to the `message` handler: leave it out to iterate");
    let live = true;
    pump.iterating(1);
    const stop = (): void => {
      if (live) pump.iterating(-1);
      live = false;
    };
    const iterator: AsyncIterableIterator<Message> = {
      async next() {
        const message = live ? await pump.take() : undefined;
        if (message !== undefined) return { done: false, value: message };
        stop();
        return { done: true, value: undefined };
      },
      return() {
        stop();
        return Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }
}

/** Sends one message in fragments, each on its way at the end of the turn. */
export class PeerMessageWriter {
  private readonly writer: MessageWriter;
  private readonly pump: Pick<Pump, "commanded" | "isWritable">;

  /** @internal */
  constructor(writer: MessageWriter, pump: Pick<Pump, "commanded" | "isWritable">) {
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
    if (!done) return false;
    this.pump.commanded();
    return this.pump.isWritable;
  }
}
