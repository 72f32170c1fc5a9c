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
  /** True once bytes were left unread: what the peer says could not be heard, so that its silence means nothing. */
  private deaf = false;

  constructor(timeouts: Required<Timeouts>, now: number) {
    this.timeouts = timeouts;
    this.quietSince = now;
  }

  /** Bytes were received; `reading` says whether more of them are wanted. */
  heard(now: number, reading: boolean): void {
    this.quietSince = now;
    this.pingQueued = this.pingTaken = undefined;
    this.deaf = !reading;
  }

  /** Output was taken, and the ping with it. */
  taken(now: number): void {
    if (this.pingQueued !== undefined) this.pingTaken ??= now;
  }

  /** When `check` is due, while bytes are read or are not. */
  deadline(reading: boolean): number {
    if (!reading) return Infinity;
    const { ping, pong } = this.timeouts;
    if (this.pingQueued === undefined) return this.quietSince + ping;
    // The wait starts when the ping left, or slow uploads die; where output is stuck, after as long again.
    return (this.pingTaken ?? this.pingQueued + pong) + pong;
  }

  /** What is due at `now`. A ping to be queued is taken for queued. */
  check(now: number, reading: boolean): "ping" | "dead" | undefined {
    if (now < this.deadline(reading)) return undefined;
    if (this.deaf) {
      this.heard(now, true);
      return undefined;
    }
    if (this.pingQueued !== undefined) return "dead";
    this.pingQueued = now;
    return "ping";
  }
}
