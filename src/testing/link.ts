import type { Role } from "../closing.js";
import type { Connection } from "../connection.js";
import type { ConnectionEvent } from "../events.js";
import { VirtualClock } from "./clock.js";

/** How a link behaves; left out, it is immediate and cuts nothing. */
export interface LinkOptions {
  /** The clock that both connections were given. Default: one of its own, for connections without a clock. */
  readonly clock?: VirtualClock;
  /** How many milliseconds a piece of `size` bytes from `from` is under way; none overtakes another. Default 0. */
  readonly delay?: (from: Role, size: number) => number;
  /** How many of the `size` bytes from `from` arrive as the next piece; taken as 1 to `size`. Default all of them. */
  readonly split?: (from: Role, size: number) => number;
  /** How many bytes may be under way in one direction before no more output is taken. Default Infinity. */
  readonly capacity?: number;
  /** Called with each event as it comes: the place to answer a `request`, for example. */
  readonly onEvent?: (event: ConnectionEvent, end: LinkEnd) => void;
}

/** One end of a link. */
export class LinkEnd {
  readonly connection: Connection;
  /** The events so far. */
  readonly events: ConnectionEvent[] = [];
  /** Set it, and no events are taken at this end: the application is busy. */
  paused = false;
  /** The bytes that were taken from this end, in order, as the chunks that they were taken in. */
  readonly sent: Uint8Array[] = [];

  constructor(connection: Connection) {
    this.connection = connection;
  }
}

/** What is under way. An "end" is the last thing that arrives from a sender. */
interface Piece {
  readonly content: Uint8Array | "end" | "reset";
  readonly due: number;
}

/** What leads from one end to the other. */
class Line {
  readonly role: Role;
  readonly from: LinkEnd;
  readonly to: LinkEnd;
  pieces: Piece[] = [];
  size = 0;
  latest = 0;
  /** The sender ended its side. */
  ended = false;
  /** What is sent vanishes. */
  cut = false;

  constructor(role: Role, from: LinkEnd, to: LinkEnd) {
    this.role = role;
    this.from = from;
    this.to = to;
  }
}

/**
 * A client and a server joined in memory. It does with each what an embedder has to: takes events and output, hands over
 * what arrived, honours `transport`, `wantsInput` and `deadline`, all on a virtual clock. Nothing happens until `flush`
 * or `run` is called; in between, use the connections as you like.
 */
export class Link {
  readonly client: LinkEnd;
  readonly server: LinkEnd;
  readonly clock: VirtualClock;
  private readonly options: LinkOptions;
  private readonly lines: readonly [fromClient: Line, fromServer: Line];
  private lost = false;

  constructor(client: Connection, server: Connection, options: LinkOptions = {}) {
    this.client = new LinkEnd(client);
    this.server = new LinkEnd(server);
    this.clock = options.clock ?? new VirtualClock();
    this.options = options;
    this.lines = [new Line("client", this.client, this.server), new Line("server", this.server, this.client)];
  }

  /** Has all that can happen without the clock moving on happen. */
  flush(): void {
    while (this.lines.map((line) => this.serve(line)).includes(true));
  }

  /**
   * Has all happen until the clock shows `until`, or, without it, until nothing is left to happen. Keepalive never lets
   * that come while both ends are open.
   * @throws {Error} where a connection's `deadline` stays although `handleTimeout` was called at it
   */
  run(until?: number): void {
    const limit = until ?? Infinity;
    for (;;) {
      this.flush();
      const next = Math.min(...this.lines.flatMap((line) => [arrival(line), deadline(line.from)]));
      if (next > limit || next === Infinity) break;
      this.clock.advanceTo(Math.max(next, this.clock.now()));
      this.flush();
      for (const { connection } of [this.client, this.server]) {
        const before = connection.deadline;
        if (before === undefined || before > this.clock.now()) continue;
        connection.handleTimeout();
        const after = connection.deadline;
        if (after !== undefined && after <= this.clock.now()) {
          throw new Error(`handleTimeout() at ${this.clock.now()} left the deadline at ${after}`);
        }
      }
    }
    if (limit !== Infinity) this.clock.advanceTo(Math.max(limit, this.clock.now()));
  }

  /** Breaks the transport: both ends lose it, and what is under way. */
  lose(error?: unknown): void {
    this.lost = true;
    for (const line of this.lines) {
      empty(line);
      line.from.connection.transportLost(error);
    }
  }

  /** From now on nothing that `from` sends arrives any more, and nobody is told. What is under way still arrives. */
  cut(from: Role): void {
    for (const line of this.lines) if (line.role === from) line.cut = true;
  }

  /** Takes events and output at the line's beginning, hands over what arrived at its end. Tells whether anything happened. */
  private serve(line: Line): boolean {
    const told = this.takeEvents(line.from);
    const taken = this.takeOutput(line);
    return this.deliver(line) || told || taken;
  }

  private takeEvents(end: LinkEnd): boolean {
    let told = false;
    while (!end.paused) {
      const event = end.connection.nextEvent();
      if (event === undefined) break;
      told = true;
      end.events.push(event);
      this.options.onEvent?.(event, end);
    }
    return told;
  }

  private takeOutput(line: Line): boolean {
    const { connection, sent } = line.from;
    if (this.lost || line.ended) return false;
    let taken = false;
    if (line.size < (this.options.capacity ?? Infinity)) {
      for (const chunk of connection.takeOutput() ?? []) {
        taken = true;
        sent.push(chunk);
        this.send(line, chunk);
      }
    }
    const { transport, outputSize } = connection;
    if (transport === "destroy" || (transport === "end" && outputSize === 0)) {
      line.ended = taken = true;
      this.post(line, "end", 0);
    }
    return taken;
  }

  private send(line: Line, chunk: Uint8Array): void {
    const { split } = this.options;
    for (let start = 0; start < chunk.length;) {
      const size = chunk.length - start;
      const wanted = split === undefined ? size : Math.trunc(split(line.role, size));
      const end = start + Math.min(size, Math.max(1, wanted));
      this.post(line, chunk.slice(start, end), end - start);
      start = end;
    }
  }

  private post(line: Line, content: Piece["content"], size: number): void {
    if (line.cut) return;
    const delay = this.options.delay?.(line.role, size) ?? 0;
    line.latest = Math.max(line.latest, this.clock.now() + Math.max(0, delay));
    line.pieces.push({ content, due: line.latest });
    line.size += size;
  }

  private deliver(line: Line): boolean {
    let delivered = false;
    while (arrival(line) <= this.clock.now()) {
      const { content } = line.pieces.shift() as Piece;
      const { connection } = line.to;
      delivered = true;
      if (content === "end") connection.receiveEnd();
      else if (content === "reset") connection.transportLost(new Error("the connection was reset"));
      else {
        line.size -= content.length;
        if (connection.transport === "destroy") this.reset(line);
        else connection.receive(content);
      }
    }
    return delivered;
  }

  /** Bytes arrived where nobody is any more: their sender gets a reset, as in TCP. */
  private reset(line: Line): void {
    for (const back of this.lines) if (back !== line) this.post(back, "reset", 0);
    empty(line);
  }
}

/** When the next piece arrives. Bytes wait until they are wanted; where nobody wants them any more, they do not. */
function arrival({ pieces: [first], to: { connection } }: Line): number {
  if (first === undefined) return Infinity;
  const waits = first.content instanceof Uint8Array && !connection.wantsInput && !isOver(connection);
  return waits ? Infinity : first.due;
}

function deadline({ connection }: LinkEnd): number {
  return connection.deadline ?? Infinity;
}

function isOver({ state, transport }: Connection): boolean {
  return state === "closed" || transport === "destroy";
}

function empty(line: Line): void {
  line.pieces = [];
  line.size = 0;
}
