// The contract of a DEFLATE codec on whatever runtime this runs on, bundled. Exits with 1 where something does not hold.

import { zlibCodec } from "../../src/adapters/zlib.js";
import { CONTRACT } from "../support/deflate-contract.js";

const codec = zlibCodec();
let failures = codec === undefined ? 1 : 0;
if (codec === undefined) console.log("FAILED: there is no platform codec");
else {
  for (const check of CONTRACT) {
    try {
      check.run(codec);
    } catch (error) {
      failures++;
      console.log(`FAILED: ${check.name}:`, error);
    }
  }
}
console.log(`${CONTRACT.length} checks, ${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;
