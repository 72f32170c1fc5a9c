/** What is being measured, on the terminal: rewritten in place, or a line each where there is no terminal. */
export class Progress {
  #total;
  #count = 0;
  #started = performance.now();
  #line = "";
  #live = process.stderr.isTTY;

  constructor(total) {
    this.#total = total;
  }

  begin(name) {
    this.#count++;
    const spent = (performance.now() - this.#started) / 1000;
    const left = this.#count > 3 ? (spent / (this.#count - 1)) * (this.#total - this.#count + 1) : undefined;
    const time =
      left === undefined
        ? ""
        : `, about ${left < 90 ? `${left.toFixed(0)} s` : `${(left / 60).toFixed(0)} min`} left`;
    this.#line = `[${this.#count}/${this.#total}${time}] ${name}`;
    if (this.#live) process.stderr.write(`\r\x1b[K${this.#line.slice(0, process.stderr.columns - 1)}`);
  }

  end(failed) {
    const line = `${this.#line}${failed > 0 ? `: ${failed} failed` : ""}`;
    if (!this.#live) process.stderr.write(`${line}\n`);
    else if (failed > 0) process.stderr.write(`\r\x1b[K${line}\n`);
  }

  finish() {
    if (this.#live) process.stderr.write("\r\x1b[K");
  }
}
