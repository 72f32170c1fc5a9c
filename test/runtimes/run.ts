// Runs every case on the runtime that it is started by, and prints a line of JSON for each.

import { CASES } from "./cases.js";
import type { Adapter, RuntimeName, TestTls } from "./tools.js";
import { Tools } from "./tools.js";

/** How a case went. */
export interface Row {
  readonly name: string;
  readonly milliseconds: number;
  /** What failed; undefined: nothing. */
  readonly failure?: string | undefined;
}

/** How long a case may take. */
const LIMIT = 20_000;

/** Runs the cases one by one. The process has to end by itself then: whatever keeps it alive was left open. */
export async function run(
  adapter: Adapter,
  runtime: RuntimeName,
  tls: TestTls,
  only?: string,
): Promise<void> {
  const loose: unknown[] = [];
  process.on("unhandledRejection", (error) => void loose.push(error));
  process.on("uncaughtException", (error) => void loose.push(error));
  for (const each of CASES) {
    const { name } = each;
    if (only !== undefined && !name.includes(only)) continue;
    const tools = new Tools(adapter, runtime, tls);
    const began = performance.now();
    let failure: string | undefined;
    try {
      await inTime(each.run(tools));
      await inTime(tools.end());
      if (loose.length > 0) throw loose.splice(0)[0];
    } catch (error) {
      failure = describe(error);
      await inTime(tools.end()).catch(() => undefined);
    }
    const row: Row = { name, milliseconds: Math.round(performance.now() - began), failure };
    console.log(JSON.stringify(row));
  }
}

function inTime(work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`it took longer than ${LIMIT} ms`));
    }, LIMIT);
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
    });
  });
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `\ncaused by ${describe(error.cause)}`;
  return (
    (error.stack?.includes(error.message) === true ? error.stack : `${error.message}\n${error.stack}`) + cause
  );
}
