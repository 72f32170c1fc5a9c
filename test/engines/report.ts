// What is bundled and run inside of an engine: all vectors, with what came of them as JSON.

import { CONFORMANCE_CASES, runConformance, startCore } from "../../src/conformance/index.js";

/** What an engine's run tells. */
export interface EngineReport {
  /** By group: how many cases ran, each whole and byte by byte, and what failed in words. */
  readonly groups: Readonly<Record<string, { readonly cases: number; readonly failed: readonly string[] }>>;
  /** Which of the names in HOST_NAMES the engine knows. */
  readonly knows: readonly string[];
}

/** What hosts add to ECMAScript and a protocol's code is tempted to use. */
const HOST_NAMES = ["console", "setTimeout", "performance", "crypto", "TextDecoder", "URL", "WebAssembly"];

export async function report(): Promise<string> {
  const groups: Record<string, { cases: number; failed: string[] }> = {};
  const results = await runConformance(CONFORMANCE_CASES, startCore);
  for (const { test, feeding, differences } of results) {
    const group = (groups[test.group] ??= { cases: 0, failed: [] });
    if (feeding === "whole") group.cases++;
    for (const difference of differences) {
      group.failed.push(`${test.role}, ${test.name}, ${feeding}: ${difference}`);
    }
  }
  const knows = HOST_NAMES.filter((name) => name in globalThis);
  return JSON.stringify({ groups, knows } satisfies EngineReport);
}
