import type { MessageEncoder } from "../coding.js";
import type { FrameWriter } from "../frame/writer.js";

/** Codes the next part of a message, with `last` its last one, and writes it as a frame that begins with `firstByte`. */
export function writeCoded(
  writer: FrameWriter,
  firstByte: number,
  encoder: MessageEncoder,
  part: Uint8Array,
  last: boolean,
): void {
  try {
    writer.writeCopy(firstByte, encoder.encode(part, last));
  } catch (error) {
    encoder.forget(); // the codec threw, or `random`: the peer never gets what is in the window now
    throw error;
  }
}
