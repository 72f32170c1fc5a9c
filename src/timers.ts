import type { Timeouts } from "./settings.js";

/**
 * Keepalive: a ping after silence, and a limit to the silence after it. Any byte received is life. Times are
 * milliseconds on the platform's clock.
 */
export class Keepalive {
  private readonly timeouts: Required<Timeouts>;
  /** Since when nothing was heard. */
  private quietSince: number;
  /** When the ping was queued; undefined while none is out. */
  private pingQueued: number | undefined;
  /** When it was taken. */
  private pingTaken: number | undefined;
  /** True once the silence was too long; the connection fails when all that came before was read. */
  dead = false;

  constructor(timeouts: Required<Timeouts>, now: number) {
    this.timeouts = timeouts;
    this.quietSince = now;
  }

  /** Bytes were received. */
  heard(now: number): void {
    this.quietSince = now;
    this.pingQueued = this.pingTaken = undefined;
    this.dead = false;
  }

  /** Output was taken, and the ping with it. */
  taken(now: number): void {
    if (this.pingQueued !== undefined) this.pingTaken ??= now;
  }

  /**
   * When `check` is due. Never while the transport is not read: nothing can be heard then, and the bytes that filled the
   * store were life. Reading again begins with a ping, at the worst.
   */
  deadline(reading: boolean): number {
    if (!reading || this.dead) return Infinity;
    const { ping, pong } = this.timeouts;
    if (this.pingQueued === undefined) return this.quietSince + ping;
    // The wait starts when the ping left, or slow uploads die; where output is stuck, after as long again.
    return (this.pingTaken ?? this.pingQueued + pong) + pong;
  }

  /** Looks at the time. True: a ping is to be queued, and counts as queued. */
  check(now: number, reading: boolean): boolean {
    if (now < this.deadline(reading)) return false;
    if (this.pingQueued !== undefined) {
      this.dead = true;
      return false;
    }
    this.pingQueued = now;
    return true;
  }
}
