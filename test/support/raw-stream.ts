// One side of a stream, spoken over by hand: what arrives is collected, and waited for. It knows no test runner.

import type { Duplex } from "node:stream";

import type { WrittenMessage } from "./http.js";
import { parseWritten } from "./http.js";
import type { WireFrame } from "./wire.js";
import { bytes, parseFrames } from "./wire.js";

/** A stream's far side: collects what arrives, and waits for what is to arrive. */
export class RawPeer {
  readonly stream: Duplex;
  /** What arrived and was not taken. */
  private stored: Uint8Array = Buffer.alloc(0);
  /** How many bytes arrived. */
  count = 0;
  /** The other side ended its side of the stream. */
  ended = false;
  /** The stream is gone. */
  gone = false;
  error: NodeJS.ErrnoException | undefined;
  private readonly waiting = new Set<() => void>();

  /** `reading: false`: nothing is read until `read()`. */
  constructor(stream: Duplex, { reading = true } = {}) {
    this.stream = stream;
    stream.on("end", () => {
      this.ended = true;
      this.changed();
    });
    stream.on("close", () => {
      this.gone = true;
      this.changed();
    });
    stream.on("error", (error) => {
      this.error = error;
      this.changed();
    });
    if (reading) this.read();
  }

  /** Begins to read. */
  read(): void {
    this.stream.on("data", (chunk: Uint8Array) => {
      this.stored = this.stored.length === 0 ? chunk : Buffer.concat([this.stored, chunk]);
      this.count += chunk.length;
      this.changed();
    });
  }

  /** All in one write. */
  send(...parts: readonly (string | Uint8Array)[]): void {
    this.stream.write(bytes(...parts));
  }

  /** Resolves with the first answer of `look` that is not undefined; rejects where the stream is gone before. */
  async until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.gone)
        throw new Error(`the stream is gone, ${this.stored.length} bytes are left`, { cause: this.error });
      await this.change();
    }
  }

  /** Resolves once the other side has ended its side. */
  async end(): Promise<void> {
    await this.until(() => (this.ended ? true : undefined));
  }

  /** Resolves once nothing more can come: the end or a reset. */
  async over(): Promise<void> {
    while (!this.ended && !this.gone) await this.change();
  }

  /** Resolves once the stream is gone, with the error that it went with. */
  async lost(): Promise<NodeJS.ErrnoException | undefined> {
    while (!this.gone) await this.change();
    return this.error;
  }

  /** Takes the next HTTP head. */
  head(): Promise<WrittenMessage> {
    return this.until(() => {
      const at = Buffer.from(this.stored).indexOf("\r\n\r\n");
      return at < 0 ? undefined : parseWritten(Buffer.from(this.take(at + 4)).toString("latin1"));
    });
  }

  /** Takes an HTTP response with its body, at the end of the stream. */
  async response(): Promise<WrittenMessage> {
    await this.end();
    return parseWritten(Buffer.from(this.take(this.stored.length)).toString("utf8"));
  }

  /** Takes the next frame. */
  frame(): Promise<WireFrame> {
    return this.until(() => {
      const size = frameSize(this.stored);
      return size === undefined || this.stored.length < size ? undefined : parseFrames(this.take(size))[0];
    });
  }

  /** Takes the next Close frame, skipping what is before it. */
  async close(): Promise<{ code: number; reason: string }> {
    for (;;) {
      const { opcode, payload } = await this.frame();
      if (opcode !== 8) continue;
      const code = payload.length < 2 ? 1005 : (payload[0] ?? 0) * 256 + (payload[1] ?? 0);
      return { code, reason: Buffer.from(payload.subarray(2)).toString() };
    }
  }

  private take(count: number): Uint8Array {
    const taken = this.stored.subarray(0, count);
    this.stored = this.stored.subarray(count);
    return taken;
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.waiting.add(resolve));
  }

  private changed(): void {
    for (const wake of this.waiting) wake();
    this.waiting.clear();
  }
}

function frameSize(data: Uint8Array): number | undefined {
  if (data.length < 2) return undefined;
  const short = (data[1] ?? 0) & 0x7f;
  const mask = (data[1] ?? 0) > 0x7f ? 4 : 0;
  const more = short < 126 ? 0 : short === 126 ? 2 : 8;
  if (data.length < 2 + more) return undefined;
  const length = more === 0 ? short : Number(`0x${Buffer.from(data.subarray(2, 2 + more)).toString("hex")}`);
  return 2 + more + mask + length;
}
