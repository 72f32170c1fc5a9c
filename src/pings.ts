/** How many pings are remembered. */
const MAX_PINGS_OUT = 16;

/** The pings that are not answered yet, oldest first, for their round-trip times. */
export class PingsOut {
  /** `ahead`: how many bytes are to be taken until it is. */
  private readonly pings: { readonly payload: Uint8Array; ahead: number; takenAt: number | undefined }[] = [];

  /** Whether there are none. */
  get none(): boolean {
    return this.pings.length === 0;
  }

  /** A ping was queued, and with it so many bytes `ahead` are. Of too many the oldest is forgotten. */
  queued(payload: Uint8Array, ahead: number): void {
    if (this.pings.length === MAX_PINGS_OUT) this.pings.shift();
    this.pings.push({ payload: new Uint8Array(payload), ahead, takenAt: undefined });
  }

  /** So many bytes of output are taken. */
  taken(count: number, now: number): void {
    for (const ping of this.pings) {
      ping.ahead -= count;
      if (ping.ahead <= 0) ping.takenAt ??= now;
    }
  }

  /**
   * A pong came: it answers the ping whose payload it has, and those before it (RFC 6455 5.5.3). Returns the round-trip time,
   * in milliseconds; undefined where it answers none.
   */
  answered(payload: Uint8Array, now: number): number | undefined {
    const index = this.pings.findIndex((ping) => ping.takenAt !== undefined && isSame(ping.payload, payload));
    const takenAt = this.pings.splice(0, index + 1)[index]?.takenAt;
    return takenAt === undefined ? undefined : now - takenAt;
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
