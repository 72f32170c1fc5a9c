import type { ConformanceCase } from "./case.js";
import { CLOSING_CASES } from "./closing.js";
import { FRAME_CASES } from "./frames.js";
import { HANDSHAKE_CASES } from "./handshake.js";
import { TEXT_CASES } from "./text.js";

export type { ConformanceCase, ConformanceExpectation, ConformanceGroup, ConformanceReply } from "./case.js";
export type {
  ConformanceFeeding,
  ConformanceReport,
  ConformanceResult,
  ConformanceSubject,
  StartConformance,
} from "./run.js";
export { runConformance } from "./run.js";
export { startCore } from "./core.js";

/** All cases. They are data: filter them, print them, or write a runner of your own. */
export const CONFORMANCE_CASES: readonly ConformanceCase[] = [
  ...HANDSHAKE_CASES,
  ...FRAME_CASES,
  ...TEXT_CASES,
  ...CLOSING_CASES,
];
