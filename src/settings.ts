import { UsageError } from "./errors.js";
import type { Extension } from "./handshake/extensions.js";
import type { MessageReader } from "./message/reader.js";
import type { Platform } from "./platform.js";

/** How a connection behaves. Every limit and time-out may be Infinity. */
export interface Options {
  /** Where entropy, time and faster kernels come from. */
  readonly platform?: Platform | undefined;
  /**
   * "1.1": the opening handshake is HTTP/1.1 bytes, read and written by the connection. "external": it is data: a
   * server is given `receiveRequest` and answers in `response`; a client asks in `request` and is given `receiveResponse`.
   * Default "1.1".
   */
  readonly http?: "1.1" | "external" | undefined;
  /** Whether the transport can end its write side and go on reading; without it `transport` never says "end". Default false. */
  readonly halfClose?: boolean | undefined;
  /** Whether messages are delivered piece by piece as they arrive instead of whole. Default false. */
  readonly streaming?: boolean | undefined;
  /** "string": text events are decoded. "bytes": they are checked, and decoded only when asked. Default "string". */
  readonly text?: "string" | "bytes" | undefined;
  /** How many unparsed bytes are stored before `wantsInput` turns false. Default 65536. */
  readonly highWaterMark?: number | undefined;
  /** The extensions that may be negotiated, the preferred first. Default none. */
  readonly extensions?: readonly Extension[] | undefined;
  readonly limits?: Limits | undefined;
  readonly timeouts?: Timeouts | undefined;
}

/** What a peer may make us keep or read, at the most. */
export interface Limits {
  /** A message's payload in bytes, its fragments added up. Default 16 MiB; without `streaming` 512 MiB at the most. */
  readonly message?: number | undefined;
  /** A frame's payload in bytes. Default Infinity: the message's limit holds for each of its frames. */
  readonly frame?: number | undefined;
  /** The head of a request or response in bytes. Default 16 KiB. */
  readonly head?: number | undefined;
  /** The header fields of a request or response. Default 100. */
  readonly headers?: number | undefined;
  /** The body of a rejection that a client keeps, in bytes. Default 64 KiB. */
  readonly body?: number | undefined;
  /** Informational responses (1xx) before the one that counts. Default 8. */
  readonly informational?: number | undefined;
  /** Output that waits to be taken, in bytes. A message sent while there is more destroys the transport. Default 64 MiB. */
  readonly output?: number | undefined;
  /** What is read and discarded after the connection failed or closed, in bytes. Default 64 MiB. */
  readonly discard?: number | undefined;
}

/** How long to wait for a peer, in milliseconds. Nothing is waited for without a clock. */
export interface Timeouts {
  /** The whole opening handshake, without the application's time to answer a request. Default 10000. */
  readonly handshake?: number | undefined;
  /** The peer's Close after ours. Each time that output is taken it begins anew. Default 10000. */
  readonly closing?: number | undefined;
  /** The peer's end of the stream once nothing else is due from it. Each time that output is taken it begins anew. Default 2000. */
  readonly linger?: number | undefined;
  /** The silence after which a ping is sent. Default Infinity: never. */
  readonly ping?: number | undefined;
  /** Any byte after that ping was taken. Default 30000. */
  readonly pong?: number | undefined;
}

/** Every field is there. */
export type Defined<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> };

/** Options with their defaults, checked. Made once, it serves any number of connections. */
export class Settings {
  readonly platform: Platform;
  readonly http: "1.1" | "external";
  readonly halfClose: boolean;
  readonly streaming: boolean;
  readonly text: "string" | "bytes";
  readonly highWaterMark: number;
  readonly extensions: readonly Extension[];
  readonly limits: Defined<Limits>;
  readonly timeouts: Defined<Timeouts>;
  /** @internal For each role a reader that no connection is using. */
  readonly readers: { server?: MessageReader | undefined; client?: MessageReader | undefined } = {};

  /** @throws {UsageError} "bad-option" */
  constructor(options: Options) {
    this.platform = options.platform ?? {};
    this.http = oneOf("http", options.http, ["1.1", "external"]);
    this.halfClose = options.halfClose ?? false;
    this.streaming = options.streaming ?? false;
    this.text = oneOf("text", options.text, ["string", "bytes"]);
    const { highWaterMark = 65536 } = options;
    this.highWaterMark = positive("highWaterMark", highWaterMark);
    this.extensions = list("extensions", options.extensions ?? []);
    this.limits = filled("limits", options.limits, LIMITS, count);
    this.timeouts = filled("timeouts", options.timeouts, TIMEOUTS, positive);
  }

  static of(options: Options | Settings): Settings {
    return options instanceof Settings ? options : new Settings(options);
  }
}

const MIB = 1024 * 1024;

const LIMITS: Defined<Limits> = {
  message: 16 * MIB,
  frame: Infinity,
  head: 16384,
  headers: 100,
  body: 65536,
  informational: 8,
  output: 64 * MIB,
  discard: 64 * MIB,
};

const TIMEOUTS: Defined<Timeouts> = {
  handshake: 10_000,
  closing: 10_000,
  linger: 2_000,
  ping: Infinity,
  pong: 30_000,
};

/** What is `given` of the group of options, checked, and the defaults in place of the others. */
function filled<T extends Readonly<Record<keyof T, number>>>(
  group: string,
  given: { readonly [K in keyof T]?: number | undefined } | undefined,
  defaults: T,
  check: (name: string, value: number) => number,
): T {
  const all: Record<keyof T, number> = { ...defaults };
  for (const name in defaults) {
    const value: number | undefined = given?.[name];
    if (value !== undefined) all[name] = check(`${group}.${name}`, value);
  }
  return all as T;
}

/** A number of bytes, or of fields: a part of one is none. */
function count(name: string, value: number): number {
  return value === 0 ? 0 : Math.floor(positive(name, value, "from"));
}

function positive(name: string, value: number, above = "above"): number {
  if (typeof value === "number" && value > 0) return value;
  throw new UsageError(
    "bad-option",
    `${name} must be a number ${above} 0 up to Infinity, not ${String(value)}`,
  );
}

function list<T>(name: string, value: readonly T[]): readonly T[] {
  const isList: boolean = Array.isArray(value);
  if (isList) return value;
  throw new UsageError("bad-option", `${name} must be an array`);
}

/** The first is the default. */
function oneOf<T extends string>(name: string, value: T | undefined, allowed: readonly [T, ...T[]]): T {
  const chosen = value ?? allowed[0];
  if (allowed.includes(chosen)) return chosen;
  throw new UsageError("bad-option", `${name} must be ${allowed.join(" or ")}, not ${String(value)}`);
}
