// The adapters' one suite, run by each runtime itself, over its own sockets.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { CASES } from "../runtimes/cases.js";
import { bundleSuite, RUNTIMES, SuiteRun } from "../support/runtimes.js";

/** A runtime has its own time limits for each case; a row waits for those before it, too. */
const TIMEOUT = 120_000;

const NAMES = CASES.map(({ name }) => name);

it("the suite has a name for each case", () => {
  expect(new Set(NAMES).size).toBe(NAMES.length);
});

describe.each(RUNTIMES)("$name", ({ adapter, binary, flags }) => {
  let folder: string;
  let run: SuiteRun;

  beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "sansocket-"));
    run = new SuiteRun(binary(), [...flags, await bundleSuite(adapter, folder)], NAMES);
  }, TIMEOUT);

  afterAll(async () => {
    run.stop();
    await run.exited;
    fs.rmSync(folder, { recursive: true, force: true });
  });

  it.each(NAMES)(
    "%s",
    async (name) => {
      const { failure } = await run.row(name);
      if (failure !== undefined) expect.fail(failure);
    },
    TIMEOUT,
  );

  it(
    "nothing is left open: the process ends by itself",
    async () => {
      expect(await run.exited).toEqual({ code: 0, complaints: "" });
    },
    TIMEOUT,
  );
});
