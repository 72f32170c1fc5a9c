/** A clock that stands still until it is told to go on. Its `now` is what a platform takes for a `clock`. */
export class VirtualClock {
  private time: number;

  /** @param time what the clock shows at first, in milliseconds. Default 0. */
  constructor(time = 0) {
    this.time = time;
  }

  /** What the clock shows, in milliseconds. It can be handed on by itself: `{ clock: clock.now }`. */
  readonly now: () => number = () => this.time;

  /**
   * Sets the clock to `time`, in milliseconds.
   * @throws {RangeError} for a time in the past, or no number
   */
  advanceTo(time: number): void {
    if (!(time >= this.time)) throw new RangeError(`the clock shows ${this.time} and cannot go to ${time}`);
    this.time = time;
  }

  /**
   * Moves the clock by `duration` milliseconds.
   * @throws {RangeError} for a duration below 0, or no number
   */
  advanceBy(duration: number): void {
    this.advanceTo(this.time + duration);
  }
}
