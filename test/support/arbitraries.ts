import fc from "fast-check";

import type { Options, Role } from "../../src/index.js";

/** A frame, as an arbitrary draws it: lawful or not. */
export interface DrawnFrame {
  readonly firstByte: number;
  readonly payload: Uint8Array;
  /** The length that the header claims instead of the payload's own. */
  readonly claims?: number;
}

/** A frame as `sender` puts it on the wire, with its length in the shortest form. */
export function frameBytes({ firstByte, payload, claims }: DrawnFrame, sender: Role): Uint8Array {
  const length = claims ?? payload.length;
  const header = [firstByte];
  const mask = sender === "client" ? 0x80 : 0;
  if (length < 126) header.push(mask | length);
  else if (length < 65536) header.push(mask | 126, length >> 8, length & 255);
  else {
    header.push(mask | 127);
    for (let place = 7; place >= 0; place--) header.push(Math.floor(length / 256 ** place) % 256);
  }
  if (sender === "server") return Buffer.concat([Uint8Array.from(header), payload]);
  const key = [length & 255, 0x5a, payload.length & 255, 0xc3];
  const masked = payload.map((byte, index) => byte ^ (key[index % 4] ?? 0));
  return Buffer.concat([Uint8Array.from([...header, ...key]), masked]);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export const role: fc.Arbitrary<Role> = fc.constantFrom("client", "server");

export function other(side: Role): Role {
  return side === "client" ? "server" : "client";
}

/** Text with every kind of code point, now and then with lone surrogates. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "binary", maxLength: 30 }) },
  { weight: 2, arbitrary: fc.string({ maxLength: 40 }) },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.constantFrom("\ud83d", "\ude00", "a", "\u00e9", "\u4e2d", "\ufeff"), { maxLength: 8 })
      .map((units) => units.join("")),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom("a", "\u00e9", "\u4e2d", "\u{1f600}", "ab\u4e2d"), fc.nat(1500), fc.nat(3))
      .map(([unit, count, more]) => "x".repeat(more) + unit.repeat(count)),
  },
);

/** Payloads of all sizes where something changes: most are small. */
export const anyPayload: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 8, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  { weight: 2, arbitrary: fc.uint8Array({ minLength: 120, maxLength: 130 }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(1020, 4090, 8180, 16380, 65530), fc.nat(10), fc.nat(255))
      .map(([size, more, factor]) =>
        Uint8Array.from({ length: size + more }, (_, index) => (index * factor) >> 3),
      ),
  },
);

const controlPayload = fc.uint8Array({ maxLength: 125, size: "-1" });

/** Bytes that are UTF-8, or nearly. */
const textPayload: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 8, arbitrary: anyText.map((text) => new Uint8Array(Buffer.from(text))) },
  {
    weight: 1,
    arbitrary: fc.tuple(anyText, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([text, place, flip]) => {
      const bytes = new Uint8Array(Buffer.from(text));
      if (bytes.length > 0) bytes[place % bytes.length] = (bytes[place % bytes.length] ?? 0) ^ flip;
      return bytes;
    }),
  },
);

const closePayload: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.constant(new Uint8Array(0)),
  fc
    .tuple(
      fc.oneof({ weight: 4, arbitrary: fc.constantFrom(1000, 1001, 1011, 3000, 4999) }, fc.nat(65535)),
      fc.string({ unit: "binary", maxLength: 20 }),
    )
    .map(([code, reason]) => Uint8Array.from([code >> 8, code & 255, ...Buffer.from(reason)])),
  fc.uint8Array({ maxLength: 4 }),
);

export const pingFrame: fc.Arbitrary<DrawnFrame> = controlPayload.map((payload) => ({
  firstByte: 0x89,
  payload,
}));
export const pongFrame: fc.Arbitrary<DrawnFrame> = controlPayload.map((payload) => ({
  firstByte: 0x8a,
  payload,
}));
const closeFrame = closePayload.map((payload): DrawnFrame => ({ firstByte: 0x88, payload }));

/** One message, whole or in fragments with control frames between them. */
const messageFrames: fc.Arbitrary<DrawnFrame[]> = fc
  .tuple(
    fc.oneof(
      textPayload.map((payload) => ({ opcode: 1, payload })),
      anyPayload.map((payload) => ({ opcode: 2, payload })),
    ),
    fc.array(fc.tuple(fc.nat(1000), fc.option(fc.oneof(pingFrame, pongFrame), { freq: 3 })), {
      maxLength: 4,
    }),
  )
  .map(([{ opcode, payload }, cuts]) => {
    const frames: DrawnFrame[] = [];
    let start = 0;
    for (const [part, control] of cuts) {
      const end = Math.min(payload.length, start + Math.floor((payload.length * part) / 1000));
      frames.push({ firstByte: frames.length === 0 ? opcode : 0, payload: payload.subarray(start, end) });
      if (control !== null) frames.push(control);
      start = end;
    }
    frames.push({ firstByte: 0x80 | (frames.length === 0 ? opcode : 0), payload: payload.subarray(start) });
    return frames;
  });

/** Frames that may stand after one another, most of them. */
export const lawfulFrames: fc.Arbitrary<DrawnFrame[]> = fc
  .tuple(
    fc.array(
      fc.oneof(
        { weight: 6, arbitrary: messageFrames },
        { weight: 1, arbitrary: pingFrame.map((frame) => [frame]) },
        { weight: 1, arbitrary: pongFrame.map((frame) => [frame]) },
      ),
      { maxLength: 8 },
    ),
    fc.option(closeFrame, { freq: 2 }),
  )
  .map(([messages, close]) => [...messages.flat(), ...(close === null ? [] : [close])]);

const unlawfulFrame: fc.Arbitrary<DrawnFrame> = fc.oneof(
  fc.record({ firstByte: fc.nat(255), payload: anyPayload }),
  fc.record({
    firstByte: fc.constantFrom(0x82, 0x81, 0x01, 0x02, 0x00, 0x80),
    payload: fc.uint8Array({ maxLength: 9 }),
    claims: fc.constantFrom(10, 126, 65535, 65536, 2 ** 24, 2 ** 24 + 1, 2 ** 40, 2 ** 53),
  }),
  closeFrame,
);

/** What corrupts a stream: bytes flipped, removed or put in, at thousandths of its length. */
const corruption = fc.array(
  fc.record({
    kind: fc.constantFrom("flip" as const, "remove" as const, "insert" as const),
    place: fc.nat(999),
    byte: fc.integer({ min: 1, max: 255 }),
  }),
  { maxLength: 2 },
);

function corrupt(
  bytes: Uint8Array,
  faults: readonly { kind: "flip" | "remove" | "insert"; place: number; byte: number }[],
): Uint8Array {
  const list = [...bytes];
  for (const { kind, place, byte } of faults) {
    const at = Math.floor((list.length * place) / 1000);
    if (kind === "flip") list[at] = ((list[at] ?? 0) ^ byte) & 255;
    else if (kind === "remove") list.splice(at, 1);
    else list.splice(at, 0, byte);
  }
  return Uint8Array.from(list);
}

/** A stream of mostly lawful frames from `sender`, now and then corrupted or cut. */
export function frameStream(sender: Role): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(
      lawfulFrames,
      fc.option(fc.tuple(fc.nat(1000), unlawfulFrame), { freq: 3 }),
      fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: corruption }),
      fc.oneof({ weight: 4, arbitrary: fc.constant(1000) }, { weight: 1, arbitrary: fc.nat(1000) }),
    )
    .map(([lawful, unlawful, faults, kept]) => {
      const frames = [...lawful];
      if (unlawful !== null) frames.splice(Math.floor((frames.length * unlawful[0]) / 1000), 0, unlawful[1]);
      const bytes = corrupt(concat(frames.map((frame) => frameBytes(frame, sender))), faults);
      return bytes.subarray(0, Math.ceil((bytes.length * kept) / 1000));
    });
}

/** A head, mostly one that passes, from lines that are often the right ones; `body` follows. */
export function headStream(
  lines: readonly string[],
  further: readonly string[],
  body: fc.Arbitrary<Uint8Array>,
): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(
      fc.array(fc.tuple(fc.nat(1000), fc.constantFrom(...further)), { maxLength: 3 }),
      fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: corruption }),
      body,
    )
    .map(([more, faults, after]) => {
      const all = [...lines];
      for (const [place, line] of more)
        all.splice(1 + Math.floor(((all.length - 1) * place) / 1000), 0, line);
      const head = corrupt(new Uint8Array(Buffer.from(`${all.join("\r\n")}\r\n\r\n`, "latin1")), faults);
      return concat([head, after]);
    });
}

export const requestStream: fc.Arbitrary<Uint8Array> = headStream(
  [
    "GET /chat?room=1 HTTP/1.1",
    "Host: example.com",
    "Upgrade: websocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
  ],
  [
    "Origin: http://example.com",
    "Sec-WebSocket-Protocol: a, b",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    "X-Long: " + "x".repeat(300),
    "Content-Length: 0",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "X Bad: 1",
    " folded",
  ],
  frameStream("client"),
);

/** Limits small enough to be met now and then. */
export const anyOptions: fc.Arbitrary<Options> = fc
  .record({
    streaming: fc.boolean(),
    text: fc.constantFrom("string" as const, "bytes" as const),
    halfClose: fc.boolean(),
    limits: fc.oneof(
      { weight: 4, arbitrary: fc.constant({}) },
      { weight: 1, arbitrary: fc.record({ message: fc.nat(200) }) },
      { weight: 1, arbitrary: fc.record({ output: fc.nat(600) }) },
      { weight: 1, arbitrary: fc.record({ frame: fc.nat(200), headers: fc.nat(9), head: fc.nat(600) }) },
    ),
  })
  .map((options): Options => options);

/** Where a stream is cut: the sizes of its chunks, over and over. */
export const anyChunking: fc.Arbitrary<readonly number[]> = fc.oneof(
  { weight: 2, arbitrary: fc.constant([1]) },
  {
    weight: 5,
    arbitrary: fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 3000 })), {
      minLength: 1,
      maxLength: 6,
    }),
  },
);

export function chunksOf(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let start = 0, index = 0; start < bytes.length; index++) {
    const end = start + Math.max(1, sizes[index % sizes.length] ?? 1);
    chunks.push(bytes.subarray(start, end));
    start = end;
  }
  return chunks;
}
