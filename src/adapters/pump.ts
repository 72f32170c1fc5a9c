import type { Connection } from "../connection.js";
import type { ConnectionEvent } from "../events.js";

// The loop that drives a connection on every runtime. It knows none: what is below comes in as a `Transport` and a `Host`,
// what is above as a `Sink`.

/** What moves the bytes. */
export interface Transport {
  /** Runs the pump, and calls back into it from now on: `receive`, `receiveEnd`, `writable`, `lost`. */
  start(pump: Pump): void;
  /** Queues chunks, in order. False: take no more output until the transport is writable again, and say so then. */
  write(chunks: readonly Uint8Array[]): boolean;
  /** Bytes queued here and not handed to the system. */
  readonly pending: number;
  /** Whether the system has a copy of all that was written, so that its memory may be used again. Left out: that is not known. */
  readonly isWritten?: boolean;
  /** Ends the write side once all is written, and goes on reading. */
  end(): void;
  /** Gives everything up at once. */
  destroy(): void;
  /** Reads, or stops reading. */
  read(on: boolean): void;
  /** Who is at the other end, where it is known. */
  readonly remoteAddress?: string | undefined;
}

/** What else a runtime has to offer. */
export interface Host {
  /** The clock that the connection was given. */
  now(): number;
  /**
   * Calls `run` once, after so many milliseconds, or earlier where a timer cannot be set that long; Infinity: never. Returns
   * what takes it back. It keeps a process alive only where somebody awaits it.
   */
  after(milliseconds: number, run: () => void, awaited?: boolean): () => void;
  /** Tells whoever runs the program of an error that nobody handled. */
  report(error: unknown): void;
}

/** Where events go. What it throws closes the connection with 1011, and is reported to `failed`. */
export interface Sink {
  /** Whether to go on with the next event. While not, the rest waits, and in the end the sender. */
  wantsEvents(): boolean;
  event(event: ConnectionEvent): void;
  /** The transport was full, and takes more now. */
  writable(): void;
  failed(error: unknown): void;
}

/** Output is written at once past this many bytes, else once per turn. */
const FLUSH_AT = 65536;

/** What a transport is given at once, in bytes: that a slow one moves is seen by its asking for more. */
const WRITE_AT_ONCE = 262_144;

/** How long a closed connection's last bytes may take to leave, in milliseconds. */
const LAST_WRITE_TIMEOUT = 10_000;

/** Drives a connection over a transport: events up, output down, time in. */
export class Pump {
  readonly connection: Connection;
  readonly transport: Transport;
  /** True once the transport brings nothing more: it ended or is gone. */
  inputOver = false;
  private readonly host: Host;
  private readonly sink: Sink;
  /** Guards against re-entry: commands given inside of a turn are carried out by it. */
  private running = false;
  /** A turn was due while another went on. */
  private missed = false;
  private runPlanned = false;
  /** The transport takes no more until it is writable. */
  private blocked = false;
  private ended = false;
  private destroyed = false;
  private forgotten = false;
  private reading = true;
  private armedFor = Infinity;
  private disarm: (() => void) | undefined;
  /** Takes back the time-out of the last bytes. */
  private lastWrite: (() => void) | undefined;

  constructor(connection: Connection, transport: Transport, host: Host, sink: Sink) {
    this.connection = connection;
    this.transport = transport;
    this.host = host;
    this.sink = sink;
  }

  // From the transport

  receive(bytes: Uint8Array, owned: boolean): void {
    this.connection.receive(bytes, owned);
    this.run();
  }

  receiveEnd(): void {
    this.inputOver = true;
    this.connection.receiveEnd();
    this.run();
  }

  writable(): void {
    const wasBlocked = this.blocked;
    this.blocked = false;
    this.run();
    if (wasBlocked && !this.blocked) this.sink.writable();
  }

  /** The transport is gone; harmless where that was known. */
  lost(error?: unknown): void {
    this.inputOver = this.destroyed = true;
    this.lastWrite?.();
    this.connection.transportLost(error);
    this.run();
  }

  // From above

  /** Gives the transport up, its last bytes too. */
  drop(): void {
    this.lastWrite?.();
    this.transport.destroy();
  }

  /** Whether messages can be sent and leave at once. */
  get isWritable(): boolean {
    return !this.blocked && this.connection.state === "open";
  }

  get bufferedAmount(): number {
    return this.connection.outputSize + this.transport.pending;
  }

  /** A command was given: sees that its output leaves, within this turn. */
  commanded(): void {
    if (this.connection.outputSize >= FLUSH_AT) {
      if (this.running) this.relieve();
      else this.run();
    } else if (this.running) {
      this.missed = true; // the turn that goes on flushes, or is followed by one that does
    } else if (!this.runPlanned) {
      this.runPlanned = true;
      runAtTheEndOfTheTurn(this);
    }
  }

  /** What was planned by `commanded`. */
  runAsPlanned(): void {
    this.runPlanned = false;
    try {
      // Sending brings no events, and changes nothing about the transport and the timer.
      if (this.connection.state !== "open" || !this.flushAlone()) this.run();
    } catch (error) {
      this.lost(error); // so that those who are behind it have their turn
    }
  }

  /** Hands output down, and does no more; false: meanwhile something happened. */
  private flushAlone(): boolean {
    this.running = true;
    this.missed = false;
    try {
      this.flush();
    } finally {
      this.running = false;
    }
    return !this.missed;
  }

  /** One turn: events, output, what becomes of the transport, the timer. */
  run(): void {
    if (this.running) {
      this.missed = true;
      return;
    }
    this.running = true;
    try {
      do this.pull();
      while (this.flush()); // taking the last output brings the last event
    } finally {
      this.running = false;
    }
    this.steer();
    this.arm();
  }

  private pull(): void {
    for (;;) {
      try {
        while (this.sink.wantsEvents()) {
          const event = this.connection.nextEvent();
          if (event === undefined) return;
          this.sink.event(event);
          this.relieve();
        }
        return;
      } catch (error) {
        this.fail(error);
      }
    }
  }

  /** What is above failed: the peer is told 1011. */
  fail(error: unknown): void {
    if (this.connection.state === "open") this.connection.close(1011, "internal error");
    this.sink.failed(error);
  }

  /** Hands much output down before the turn is over: what then waits does so because the transport is full. */
  private relieve(): void {
    while (this.connection.outputSize >= FLUSH_AT && this.flush());
  }

  /** Hands output down; whether there was any, and room for it. */
  private flush(): boolean {
    if (this.blocked) return false;
    const chunks = this.connection.takeOutput(WRITE_AT_ONCE);
    if (chunks !== undefined && !this.destroyed) {
      try {
        this.blocked = !this.transport.write(chunks);
        if (this.transport.isWritten === true) this.connection.outputWritten();
      } catch (error) {
        this.connection.transportLost(error); // a transport that throws is none
        this.missed = true;
      }
    }
    return chunks !== undefined;
  }

  private steer(): void {
    const { connection, transport } = this;
    if (this.destroyed) return;
    if (connection.transport === "destroy") {
      this.inputOver = this.destroyed = true;
      this.drop();
      this.run(); // what was left for a slow reader, and `closed` behind it: not every transport tells of its end now
      return;
    }
    if (connection.transport === "end" && !this.ended && connection.outputSize === 0) {
      this.ended = true;
      transport.end();
    }
    const closed = connection.state === "closed";
    if (closed && !this.forgotten) {
      this.forgotten = true;
      // The connection has no deadline any more; what the transport still holds of it has one.
      if (transport.pending > 0) {
        this.lastWrite = this.host.after(LAST_WRITE_TIMEOUT, () => {
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
      if (this.connection.state === "closed") this.disarm?.();
      return; // else the timer that is set finds nothing due
    }
    if (deadline >= this.armedFor) return; // the timer that is set will see
    this.disarm?.();
    this.armedFor = deadline;
    const delay = Math.max(Math.ceil(deadline - this.host.now()), 0);
    this.disarm = this.host.after(delay, () => {
      this.armedFor = Infinity;
      this.connection.handleTimeout();
      this.run();
    });
  }
}

// One microtask serves all who sent in a turn: a broadcast would need thousands.

let commanded: Pump[] = [];

function runAtTheEndOfTheTurn(pump: Pump): void {
  if (commanded.push(pump) === 1) void Promise.resolve().then(runAll);
}

function runAll(): void {
  const pumps = commanded;
  commanded = [];
  for (const pump of pumps) pump.runAsPlanned();
}
