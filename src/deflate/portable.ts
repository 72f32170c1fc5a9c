import type { DeflateCodec } from "./codec.js";
import { PortableDeflator } from "./deflate.js";
import { PortableInflator } from "./inflate.js";

/** DEFLATE in plain TypeScript, for engines without one of their own. */
export const portableDeflate: DeflateCodec = {
  inflator: (windowBits) => new PortableInflator(windowBits),
  deflator: (windowBits, level) => new PortableDeflator(windowBits, level),
};
