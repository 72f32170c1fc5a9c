import type { Defined, Timeouts } from "./settings.js";

/**
 * Keepalive: a ping after silence, and a limit to the silence after it. Any byte received is life. Times are
 * milliseconds on the platform's clock.
 */
export class Keepalive {
  private readonly timeouts: Defined<Timeouts>;
  /**
   * "quiet": nothing is out. "queued": a ping is, but was not taken. "taken": it was. "dead": the silence became too long; the
   * connection fails once all that came before was read.
   */
  private state: "quiet" | "queued" | "taken" | "dead" = "quiet";
  /** When that began; "queued" begins anew when output is taken that stood before the ping. */
  private since: number;

  constructor(timeouts: Defined<Timeouts>, now: number) {
    this.timeouts = timeouts;
    this.since = now;
  }

  /** Whether the silence was too long. */
  get dead(): boolean {
    return this.state === "dead";
  }

  /** Bytes were received. */
  heard(now: number): void {
    this.state = "quiet";
    this.since = now;
  }

  /** Output was taken; `all` of it, and the ping with it, or some that stood before it. */
  taken(now: number, all: boolean): void {
    if (this.state !== "queued") return;
    if (all) this.state = "taken";
    this.since = now;
  }

  /**
   * When `check` is due. Never while the transport is not read: nothing can be heard then, and the bytes that filled the
   * store were life. Reading again begins with a ping, at the worst.
   */
  deadline(reading: boolean): number {
    const { state, since } = this;
    const { linger, ping, pong } = this.timeouts;
    if (state === "dead") return since + linger;
    if (!reading) return Infinity;
    if (state === "quiet") return since + ping;
    // The wait starts when the ping left, or slow uploads die; where output is stuck, after as long again.
    return since + (state === "taken" ? pong : pong * 2);
  }

  /** Looks at the time. "ping": one is to be queued. "gone": the peer was dead, and nobody has read what came before. */
  check(now: number, reading: boolean): "ping" | "gone" | undefined {
    if (now < this.deadline(reading)) return undefined;
    if (this.dead) return "gone";
    if (this.state === "quiet") return "ping";
    this.state = "dead";
    this.since = now;
    return undefined;
  }

  /** A ping was queued after silence. */
  pinged(now: number): void {
    this.state = "queued";
    this.since = now;
  }
}
