// A parser of what a connection sends, made to be obviously right: it knows the whole stream, is slow, and shares no code with
// the source.

import type { Role } from "../../src/index.js";

export interface ParsedFrame {
  readonly fin: boolean;
  readonly opcode: number;
  readonly payload: Uint8Array;
}

export interface ParsedMessage {
  readonly type: "text" | "binary" | "ping" | "pong" | "close";
  readonly payload: Uint8Array;
}

/** The bytes end inside a frame. */
class CutFrame extends Error {}

/**
 * The frames of all that `sender` sent after the opening handshake; `cut`: the last one may not be whole, and is left out.
 * Throws on whatever RFC 6455 does not allow.
 */
export function parseFrames(bytes: Uint8Array, sender: Role, cut = false): ParsedFrame[] {
  const frames: ParsedFrame[] = [];
  let at = 0;
  const take = (count: number): Uint8Array => {
    if (at + count > bytes.length) throw new CutFrame(`a frame is cut at byte ${bytes.length}`);
    at += count;
    return bytes.subarray(at - count, at);
  };
  const takeNumber = (count: number): number => take(count).reduce((sum, byte) => sum * 256 + byte, 0);
  const takeFrame = (): ParsedFrame => {
    const begin = at;
    const [first = 0, second = 0] = take(2);
    const opcode = first % 16;
    const fin = first >= 128;
    const masked = second >= 128;
    let length = second % 128;
    if (length === 126) {
      length = takeNumber(2);
      if (length < 126) throw new Error(`the length of the frame at ${begin} is not minimal (5.2)`);
    } else if (length === 127) {
      length = takeNumber(8);
      if (length < 65536) throw new Error(`the length of the frame at ${begin} is not minimal (5.2)`);
    }
    if ((first & 0x70) !== 0) throw new Error(`the frame at ${begin} has reserved bits (5.2)`);
    if (![0, 1, 2, 8, 9, 10].includes(opcode))
      throw new Error(`the frame at ${begin} has opcode ${opcode} (5.2)`);
    if (opcode >= 8 && (!fin || length > 125))
      throw new Error(`the control frame at ${begin} is unlawful (5.5)`);
    if (masked !== (sender === "client")) throw new Error(`the frame at ${begin} is masked: ${masked} (5.1)`);
    const key = masked ? take(4) : [0, 0, 0, 0];
    const payload = take(length).map((byte, index) => byte ^ (key[index % 4] ?? 0));
    return { fin, opcode, payload };
  };
  while (at < bytes.length) {
    try {
      frames.push(takeFrame());
    } catch (error) {
      if (cut && error instanceof CutFrame) break;
      throw error;
    }
  }
  return frames;
}

/**
 * The messages and control frames of all that `sender` sent after the opening handshake, a fragmented message where it ends.
 * `cut`: the last frame may not be whole. Throws on whatever RFC 6455 does not allow.
 */
export function parseMessages(bytes: Uint8Array, sender: Role, cut = false): ParsedMessage[] {
  const messages: ParsedMessage[] = [];
  let open: { type: "text" | "binary"; parts: Uint8Array[] } | undefined;
  let closed = false;
  for (const { fin, opcode, payload } of parseFrames(bytes, sender, cut)) {
    if (closed) throw new Error(`a frame with opcode ${opcode} follows the Close frame (5.5.1)`);
    if (opcode === 8) {
      checkClose(payload);
      closed = true;
      messages.push({ type: "close", payload });
    } else if (opcode > 8) {
      messages.push({ type: opcode === 9 ? "ping" : "pong", payload });
    } else {
      if ((opcode === 0) !== (open !== undefined))
        throw new Error(`opcode ${opcode} cannot stand here (5.4)`);
      open ??= { type: opcode === 1 ? "text" : "binary", parts: [] };
      open.parts.push(payload);
      const whole = Buffer.concat(open.parts);
      // What there is of a text begins UTF-8, and is it once the text is over (8.1).
      if (open.type === "text") new TextDecoder("utf-8", { fatal: true }).decode(whole, { stream: !fin });
      if (!fin) continue;
      messages.push({ type: open.type, payload: whole });
      open = undefined;
    }
  }
  return messages;
}

function checkClose(payload: Uint8Array): void {
  if (payload.length === 0) return;
  if (payload.length === 1) throw new Error("a Close frame has one byte (5.5.1)");
  const code = (payload[0] ?? 0) * 256 + (payload[1] ?? 0);
  const sendable =
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014].includes(code) ||
    (code >= 3000 && code < 5000);
  if (!sendable) throw new Error(`the close code ${code} may not be sent (7.4)`);
  new TextDecoder("utf-8", { fatal: true }).decode(payload.subarray(2));
}
