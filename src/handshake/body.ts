import { BytesAssembly } from "../bytes/assembly.js";
import type { HeaderList } from "./headers.js";
import { headerValue, headerValues } from "./headers.js";

/** Reads the body of a response that did not open a WebSocket, as far as `limit` allows (RFC 9112 6.3). */
export class BodyReader {
  /** True once the body is over, over the limit, or malformed. */
  done = false;
  /** Whether what was kept is all of it. */
  complete = false;

  private readonly kept = new BytesAssembly();
  private readonly limit: number;
  /** How the body ends; within "chunked" what is to come next. */
  private state: "length" | "end" | "chunkSize" | "chunkData" | "chunkEnd" | "trailer";
  /** Bytes of the body or the chunk to come. */
  private missing = 0;
  private line = "";
  private afterCr = false;
  /** Bytes of lines since the last byte of data. */
  private lineSize = 0;

  constructor(status: number, headers: HeaderList, limit: number) {
    this.limit = limit;
    const coding = headerValue(headers, "transfer-encoding");
    const lengths = headerValues(headers, "content-length");
    if (status === 204 || status === 304) {
      this.state = "length"; // RFC 9112 6.3: these have none
    } else if (coding !== undefined) {
      this.state = /(^|,)[ \t]*chunked$/i.test(coding) ? "chunkSize" : "end";
    } else if (lengths.length === 1 && /^[0-9]{1,15}$/.test(lengths[0] as string)) {
      this.state = "length";
      this.missing = Number(lengths[0]);
    } else {
      this.state = "end";
    }
    if (this.state === "length" && this.missing === 0) this.finish(true);
  }

  /** Hands over what was kept. */
  take(): Uint8Array {
    return this.kept.take();
  }

  /** Reads `bytes[start, end)`; returns the index after what was read. */
  read(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && !this.done) {
      if (this.state === "end") at = this.keep(bytes, at, end);
      else if (this.state === "length" || this.state === "chunkData") at = this.readCounted(bytes, at, end);
      else at = this.readLine(bytes, at);
    }
    return at;
  }

  /** The stream ended; in order, or because it broke. */
  end(inOrder: boolean): void {
    this.finish(this.state === "end" && inOrder);
  }

  private finish(complete: boolean): void {
    if (this.done) return;
    this.done = true;
    this.complete = complete;
  }

  private keep(bytes: Uint8Array, start: number, end: number): number {
    const room = this.limit - this.kept.size;
    const kept = Math.min(end, start + room);
    this.kept.append(bytes, start, kept, Infinity);
    if (kept < end) this.finish(false);
    return end;
  }

  private readCounted(bytes: Uint8Array, start: number, end: number): number {
    const count = Math.min(this.missing, end - start);
    this.missing -= count;
    this.lineSize = 0;
    this.keep(bytes, start, start + count);
    if (this.missing === 0) {
      if (this.state === "length") this.finish(true);
      else this.state = "chunkEnd";
    }
    return start + count;
  }

  /** Reads a byte of a line in the chunked coding (RFC 9112 7.1). */
  private readLine(bytes: Uint8Array, at: number): number {
    const byte = bytes[at] as number;
    if (++this.lineSize > MAX_LINE || (this.afterCr && byte !== LF)) {
      this.finish(false);
    } else if (this.afterCr) {
      const { line } = this;
      this.line = "";
      this.afterCr = false;
      this.endLine(line);
    } else {
      this.afterCr = byte === CR;
      if (!this.afterCr) this.line += String.fromCharCode(byte);
    }
    return at + 1;
  }

  private endLine(line: string): void {
    if (this.state === "chunkSize") {
      const size = /^([0-9A-Fa-f]{1,12})[ \t]*(;.*)?$/.exec(line)?.[1];
      if (size === undefined) this.finish(false);
      else this.missing = parseInt(size, 16);
      this.state = this.missing === 0 ? "trailer" : "chunkData";
    } else if (this.state === "chunkEnd") {
      if (line !== "") this.finish(false);
      this.state = "chunkSize";
    } else if (line === "") {
      this.finish(true);
    }
  }
}

const CR = 0x0d;
const LF = 0x0a;

/** How many bytes of the chunked coding's lines are put up with between data, trailers included. */
const MAX_LINE = 4096;
