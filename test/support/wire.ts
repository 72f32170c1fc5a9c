// Frames as RFC 6455 5.2 draws them, written and read in the plainest way, without a line of what is tested. What the core
// would never write (reserved opcodes, wrong lengths, missing masks) can be written here.

import type { ClosedEvent, ConnectionEvent } from "../../src/index.js";

/** What bytes are fed to and events are pulled from: a connection. */
export interface Fed {
  receive(bytes: Uint8Array, owned?: boolean): void;
  nextEvent(): ConnectionEvent | undefined;
}

/** Bytes from numbers, strings (as UTF-8) and bytes, one behind the other. */
export function bytes(...parts: readonly (number | string | Uint8Array | readonly number[])[]): Uint8Array {
  return concat(
    parts.map((part) => {
      if (typeof part === "number") return Uint8Array.of(part);
      return typeof part === "string" ? new TextEncoder().encode(part) : Uint8Array.from(part);
    }),
  );
}

export function concat(chunks: Iterable<Uint8Array>): Uint8Array {
  const list = [...chunks];
  const all = new Uint8Array(list.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of list) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

export function toHex(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString("hex");
}

/** White space between digits is skipped. */
export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s/g, ""), "hex"));
}

export interface FrameSpec {
  readonly opcode: number;
  /** Default true. */
  readonly fin?: boolean;
  /** RSV1, RSV2 and RSV3 as 4, 2 and 1. Default 0. */
  readonly rsv?: number;
  /** A string is sent as UTF-8. Default empty. */
  readonly payload?: Uint8Array | string;
  /** Default: whether there is a `key`. */
  readonly masked?: boolean;
  /** The masking key's four bytes. Default where it is masked: `KEY`. */
  readonly key?: readonly number[];
  /** The length's form, in bits: forced, or else the shortest. */
  readonly lengthForm?: 7 | 16 | 64;
  /** The length that the header claims, whatever the payload's is. */
  readonly claimedLength?: number | bigint;
}

export const KEY: readonly number[] = [0x37, 0xfa, 0x21, 0x3d];

/** One frame. */
export function frame(spec: FrameSpec): Uint8Array {
  const payload =
    typeof spec.payload === "string" ? new TextEncoder().encode(spec.payload) : (spec.payload ?? bytes());
  const masked = spec.masked ?? spec.key !== undefined;
  const key = spec.key ?? KEY;
  const length = BigInt(spec.claimedLength ?? payload.length);
  const form = spec.lengthForm ?? (length < 126n ? 7 : length < 65536n ? 16 : 64);
  const header = [((spec.fin ?? true) ? 0x80 : 0) | ((spec.rsv ?? 0) << 4) | spec.opcode];
  const maskBit = masked ? 0x80 : 0;
  if (form === 7) {
    header.push(maskBit | Number(length));
  } else {
    header.push(maskBit | (form === 16 ? 126 : 127));
    for (let shift = BigInt(form - 8); shift >= 0n; shift -= 8n)
      header.push(Number((length >> shift) & 0xffn));
  }
  if (!masked) return concat([Uint8Array.from(header), payload]);
  return concat([
    Uint8Array.from(header),
    Uint8Array.from(key),
    payload.map((byte, index) => byte ^ (key[index % 4] ?? 0)),
  ]);
}

/** A Close frame's payload. */
export function closePayload(code: number, reason: string | Uint8Array = ""): Uint8Array {
  return bytes(code >> 8, code & 0xff, reason);
}

export interface WireFrame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly masked: boolean;
  readonly key: string | undefined;
  /** The bits of the length's form. */
  readonly lengthForm: 7 | 16 | 64;
  /** Unmasked. */
  readonly payload: Uint8Array;
}

/** The frames that `data` is made of; throws where it is not whole frames, or a length is not in its shortest form. */
export function parseFrames(data: Uint8Array): WireFrame[] {
  const frames: WireFrame[] = [];
  let at = 0;
  const next = (): number => {
    const byte = data[at++];
    if (byte === undefined) throw new Error(`the bytes end inside a frame, at ${at - 1}`);
    return byte;
  };
  const number = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++) value = value * 256 + next();
    return value;
  };
  while (at < data.length) {
    const first = next();
    const second = next();
    const short = second & 0x7f;
    const lengthForm = short < 126 ? 7 : short === 126 ? 16 : 64;
    const length = lengthForm === 7 ? short : number(lengthForm / 8);
    if (lengthForm !== (length < 126 ? 7 : length < 65536 ? 16 : 64))
      throw new Error(`a length of ${length} is in a form of ${lengthForm} bits`);
    const masked = second > 0x7f;
    const key = masked ? Uint8Array.of(next(), next(), next(), next()) : undefined;
    if (at + length > data.length) throw new Error(`the bytes end inside a payload of ${length}`);
    const payload = data.slice(at, at + length);
    at += length;
    if (key !== undefined) payload.forEach((byte, index) => (payload[index] = byte ^ (key[index % 4] ?? 0)));
    frames.push({
      fin: first > 0x7f,
      rsv: (first >> 4) & 7,
      opcode: first & 15,
      masked,
      key: key && toHex(key),
      lengthForm,
      payload,
    });
  }
  return frames;
}

/** All output that is queued, taken, as one. */
export function takeAll(connection: { takeOutput(): readonly Uint8Array[] | undefined }): Uint8Array {
  const all: Uint8Array[] = [];
  for (let taken = connection.takeOutput(); taken !== undefined; taken = connection.takeOutput())
    all.push(...taken);
  return concat(all);
}

/** The events that are there. */
export function pull(connection: Fed): ConnectionEvent[] {
  const events: ConnectionEvent[] = [];
  for (let event = connection.nextEvent(); event !== undefined; event = connection.nextEvent())
    events.push(event);
  return events;
}

/** A way to hand bytes to a connection. */
export interface Feeding {
  readonly name: string;
  /** Hands `data` over, pulls what events there are after each chunk (and at the end), and returns them all. */
  feed(connection: Fed, data: Uint8Array): ConnectionEvent[];
}

function feeding(name: string, size: number, owned: boolean): Feeding {
  return {
    name,
    feed(connection, data) {
      const events: ConnectionEvent[] = [];
      for (let at = 0; at < data.length; at += size) {
        // What is owned is rewritten: it gets a copy. What is not owned is spoilt after the call: it must have been copied.
        const chunk = data.slice(at, at + size);
        connection.receive(chunk, owned);
        if (!owned) chunk.fill(0xff);
        events.push(...pull(connection));
      }
      events.push(...pull(connection));
      return events;
    },
  };
}

/** The ways to feed bytes: no event may depend on them. */
export const feedings: readonly Feeding[] = [
  feeding("whole", Infinity, false),
  feeding("whole, owned", Infinity, true),
  feeding("byte by byte", 1, false),
  feeding("byte by byte, owned", 1, true),
  feeding("in chunks of 7", 7, false),
  feeding("in chunks of 7, owned", 7, true),
];

/** All at once, before any event is pulled, a byte per call: the chunks wait behind one another. */
export const queued: Feeding = {
  name: "byte by byte, pulled at the end",
  feed(connection, data) {
    for (const byte of data) connection.receive(Uint8Array.of(byte));
    return pull(connection);
  },
};

export interface CauseSummary {
  readonly by: string;
  readonly rule: string;
  readonly offset: number | undefined;
}

/** An event as plain data. Payloads are in hex. */
export type Summary =
  | { readonly type: "request" | "open" | "rejected" }
  | { readonly type: "text"; readonly text: string; readonly final: boolean }
  | { readonly type: "binary"; readonly payload: string; readonly final: boolean }
  | { readonly type: "ping"; readonly payload: string }
  | { readonly type: "pong"; readonly payload: string; readonly roundTripTime: number | undefined }
  | { readonly type: "closing"; readonly code: number; readonly reason: string; readonly cause: CauseSummary }
  | {
      readonly type: "closed";
      readonly code: number;
      readonly reason: string;
      readonly clean: boolean;
      readonly sent: ClosedEvent["sent"];
      readonly cause: CauseSummary;
    };

/** Events as plain data that can be compared; adjacent pieces of one message (`streaming`) are joined. */
export function summarize(events: Iterable<ConnectionEvent>): Summary[] {
  const summaries: Summary[] = [];
  for (const event of events) {
    const summary = summarizeOne(event);
    const before = summaries.at(-1);
    if (before?.type === "text" && summary.type === "text" && !before.final) {
      summaries[summaries.length - 1] = { ...summary, text: before.text + summary.text };
    } else if (before?.type === "binary" && summary.type === "binary" && !before.final) {
      summaries[summaries.length - 1] = { ...summary, payload: before.payload + summary.payload };
    } else {
      summaries.push(summary);
    }
  }
  return summaries;
}

function summarizeOne(event: ConnectionEvent): Summary {
  switch (event.type) {
    case "text":
      return { type: "text", text: event.text, final: event.final };
    case "binary":
      return { type: "binary", payload: toHex(event.payload), final: event.final };
    case "ping":
      return { type: "ping", payload: toHex(event.payload) };
    case "pong":
      return { type: "pong", payload: toHex(event.payload), roundTripTime: event.roundTripTime };
    case "closing":
      return { type: "closing", code: event.code, reason: event.reason, cause: summarizeCause(event.cause) };
    case "closed": {
      const { code, reason, clean, sent, cause } = event;
      return { type: "closed", code, reason, clean, sent, cause: summarizeCause(cause) };
    }
    default:
      return { type: event.type };
  }
}

function summarizeCause({ by, rule, offset }: CauseSummary): CauseSummary {
  return { by, rule, offset };
}
