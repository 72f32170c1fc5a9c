// Nothing may be lost or thrown from nowhere while sockets misbehave: a suite that calls this fails where it happens.

import { afterAll, beforeAll, expect } from "vitest";

export function noLooseEnds(): void {
  const found: unknown[] = [];
  const note = (error: unknown): void => {
    found.push(error);
  };
  beforeAll(() => {
    process.on("unhandledRejection", note);
    process.on("uncaughtException", note);
  });
  afterAll(async () => {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);
    process.off("uncaughtException", note);
    expect(found).toEqual([]);
  });
}
