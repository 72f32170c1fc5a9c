import type { Defined, Timeouts } from "./settings.js";

/**
 * Keepalive: a ping after silence, and a limit to the silence after it. Any byte received is life. Times are
 * milliseconds on the platform's clock.
 */
export class Keepalive {
  private readonly timeouts: Defined<Timeouts>;
  /** Since when nothing was heard. */
  private quietSince: number;
  /** When the ping was queued; undefined while none is out. */
  private pingQueued: number | undefined;
  /** When it was taken. */
  private pingTaken: number | undefined;
  /** When the silence became too long; the connection fails once all that came before was read. */
  private deadSince: number | undefined;

  constructor(timeouts: Defined<Timeouts>, now: number) {
    this.timeouts = timeouts;
    this.quietSince = now;
  }

  /** Whether the silence was too long. */
  get dead(): boolean {
    return this.deadSince !== undefined;
  }

  /** Whether it has a ping out. */
  get pings(): boolean {
    return this.pingQueued !== undefined;
  }

  /** Bytes were received. */
  heard(now: number): void {
    this.quietSince = now;
    this.pingQueued = this.pingTaken = this.deadSince = undefined;
  }

  /** Output was taken; `all` of it, and the ping with it, or some that stood before it. */
  taken(now: number, all: boolean): void {
    if (this.pingQueued === undefined) return;
    if (all) this.pingTaken ??= now;
    else this.pingQueued = now;
  }

  /**
   * When `check` is due. Never while the transport is not read: nothing can be heard then, and the bytes that filled the
   * store were life. Reading again begins with a ping, at the worst.
   */
  deadline(reading: boolean): number {
    const { linger, ping, pong } = this.timeouts;
    if (this.deadSince !== undefined) return this.deadSince + linger;
    if (!reading) return Infinity;
    if (this.pingQueued === undefined) return this.quietSince + ping;
    // The wait starts when the ping left, or slow uploads die; where output is stuck, after as long again.
    return (this.pingTaken ?? this.pingQueued + pong) + pong;
  }

  /**
   * Looks at the time. "ping": one is to be queued, and counts as queued. "gone": the peer was dead, and nobody has read what
   * came before.
   */
  check(now: number, reading: boolean): "ping" | "gone" | undefined {
    if (now < this.deadline(reading)) return undefined;
    if (this.deadSince !== undefined) return "gone";
    if (this.pingQueued === undefined) {
      this.pingQueued = now;
      return "ping";
    }
    this.deadSince = now;
    return undefined;
  }
}
