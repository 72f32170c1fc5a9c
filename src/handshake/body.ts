import { BytesAssembly } from "../message/assembly.js";
import { latin1 } from "./head.js";
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

  /** What was kept. */
  get body(): Uint8Array {
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
    this.keep(bytes, start, start + count);
    if (this.missing === 0) {
      if (this.state === "length") this.finish(true);
      else this.state = "chunkEnd";
    }
    return start + count;
  }

  /** Reads a byte of a line in the chunked coding (RFC 9112 7.1). */
  private readLine(bytes: Uint8Array, at: number): number {
    this.line += latin1(bytes, at, at + 1);
    if (this.line.length > MAX_LINE) this.finish(false);
    if (this.line.endsWith("\r\n")) {
      const line = this.line.slice(0, -2);
      this.line = "";
      this.endLine(line);
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

/** The longest line of the chunked coding that is put up with. */
const MAX_LINE = 4096;
