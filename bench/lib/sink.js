import { EventEmitter } from "node:events";

/** What implementations write to in place of a socket. A string is encoded, as a socket does it. */
export class Sink extends EventEmitter {
  constructor(write) {
    super();
    this.written = write;
    this.writableNeedDrain = false;
    this.writable = this.readable = true;
  }

  write(data, encoding, done) {
    this.written(typeof data === "string" ? Buffer.from(data) : data);
    const called = typeof encoding === "function" ? encoding : done;
    if (typeof called === "function") called();
    return true;
  }

  cork() {}
  uncork() {}
  setNoDelay() {}
  setTimeout() {}
  setKeepAlive() {}
  pause() {}
  resume() {}
  end() {}
  destroy() {}
}
