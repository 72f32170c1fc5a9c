import type { RuleName } from "../rules.js";
import type { HeaderList } from "./headers.js";
import { isHeaderValue } from "./headers.js";
import { isToken, tokenEnd, trimSpace } from "./tokens.js";

export interface HeadLimits {
  /** The longest head, its last empty line included, in bytes. */
  readonly head: number;
  /** The most header fields. */
  readonly headers: number;
}

/**
 * Reads the head of an HTTP/1.1 message (RFC 9112 2.1) as its bytes arrive, strictly: lines end in CR LF, none is folded,
 * no space stands before a colon. Each line is judged when it is over, each stray byte at once.
 */
export class HeadParser {
  /** The request line or status line. */
  startLine = "";
  readonly headers: [name: string, value: string][] = [];
  /** True once the empty line was read. */
  done = false;
  /** The rule that was broken; nothing is read any more. */
  fault: RuleName | undefined;

  private line = "";
  private afterCr = false;
  private size = 0;
  private readonly limits: HeadLimits;
  private readonly judgeStartLine: (line: string) => RuleName | undefined;

  /** `judgeStartLine` says what is wrong with the first line. */
  constructor(limits: HeadLimits, judgeStartLine: (line: string) => RuleName | undefined) {
    this.limits = limits;
    this.judgeStartLine = judgeStartLine;
  }

  /** Reads `bytes[start, end)`; returns the index after the last byte that was read: of the head's end, or of the fault. */
  read(bytes: Uint8Array, start: number, end: number): number {
    let lineStart = start;
    for (let i = start; i < end; i++) {
      const byte = bytes[i] as number;
      if (this.size++ === this.limits.head)
        this.fault = this.startLine === "" ? "start-line-limit" : "head-limit";
      // RFC 9112 2.2: a bare CR or LF ends no line here; no NUL, and no control character, stands in one.
      else if (this.afterCr ? byte !== LF : byte === LF) this.fault = "bad-line-end";
      else if (byte === LF) {
        this.line += latin1(bytes, lineStart, i - 1);
        this.afterCr = false;
        this.endLine(this.line);
        this.line = "";
        lineStart = i + 1;
      } else if (byte === CR) this.afterCr = true;
      else if ((byte < 0x20 && byte !== TAB) || byte === 0x7f) {
        this.fault = this.startLine === "" ? this.judgeStartLine("") : "bad-header-line"; // as malformed as an empty one
      }
      if (this.done || this.fault !== undefined) return i + 1;
    }
    this.line += latin1(bytes, lineStart, this.afterCr ? end - 1 : end);
    return end;
  }

  private endLine(line: string): void {
    if (line === "") {
      this.done = this.startLine !== "";
      return; // RFC 9112 2.2: empty lines before the start line are skipped; they count towards the head's size
    }
    if (this.startLine === "") {
      this.startLine = line;
      this.fault = this.judgeStartLine(line);
      return;
    }
    if (this.headers.length === this.limits.headers) {
      this.fault = "header-count";
      return;
    }
    // RFC 9112 5: a token and at once a colon; a line that begins with white space would be folding (5.2)
    const nameEnd = tokenEnd(line, 0);
    if (nameEnd === 0 || line[nameEnd] !== ":") {
      this.fault = "bad-header-line";
      return;
    }
    this.headers.push([line.slice(0, nameEnd), trimSpace(line.slice(nameEnd + 1))]);
  }
}

const CR = 0x0d;
const LF = 0x0a;
const TAB = 0x09;

/** Bytes as Latin-1: RFC 9110 5.5 has no better reading for those over 0x7f. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i] as number);
  return text;
}

/** The bytes that `text` is as Latin-1. */
export function latin1Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The head of an HTTP/1.1 message; every part was checked to be Latin-1 without line ends. */
export function formatHead(startLine: string, headers: HeaderList): string {
  let text = `${startLine}\r\n`;
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
  return `${text}\r\n`;
}

/** What is wrong with a request line (RFC 9112 3). */
export function judgeRequestLine(line: string): RuleName | undefined {
  const [, method, version] = /^(\S+) [\x21-\x7e]+ (\S+)$/.exec(line) ?? [];
  if (method === undefined || version === undefined || !isToken(method)) return "bad-request-line";
  return judgeVersion(version, "bad-request-line");
}

/** What is wrong with a status line (RFC 9112 4). The reason phrase may be empty, and the space before it missing. */
export function judgeStatusLine(line: string): RuleName | undefined {
  const match = /^(\S+) [1-9][0-9]{2}(?: (.*))?$/.exec(line);
  if (match === null || !isHeaderValue(match[2] ?? "")) return "bad-status-line";
  return judgeVersion(match[1] as string, "bad-status-line");
}

function judgeVersion(version: string, malformed: RuleName): RuleName | undefined {
  if (!/^HTTP\/[0-9]\.[0-9]$/.test(version)) return malformed;
  return version[5] === "1" ? undefined : "http-version"; // RFC 9110 2.5: a higher minor version is spoken as ours
}
