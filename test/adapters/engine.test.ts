// What the Web's globals give an adapter that knows no runtime.

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { hrefOf, webHost, webPlatform } from "../../src/adapters/engine.js";
import { portableUtf8, UsageError } from "../../src/index.js";
import { holds } from "../support/property.js";

describe("webPlatform", () => {
  it("random: 32 bits that do not repeat, past the pool's end", () => {
    const words = Array.from({ length: 5000 }, () => webPlatform.random?.() ?? 0);
    expect(words.every((word) => (word | 0) === word)).toBe(true);
    // Two of five thousand are alike once in three hundred runs; ten, never.
    expect(new Set(words).size).toBeGreaterThan(4990);
    expect(words.some((word) => word < 0) && words.some((word) => word > 0)).toBe(true);
  });

  it("clock: never runs backwards", () => {
    const first = webPlatform.clock?.() ?? NaN;
    expect(webPlatform.clock?.()).toBeGreaterThanOrEqual(first);
  });

  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({ unit: fc.constantFrom("\ufeff", "ü", "\ud800", "a") }),
  );
  holds(
    "UTF-8: as the portable coding has it, for any text and any bytes, short and long",
    300,
    fc.property(
      text,
      fc.integer({ min: 0, max: 100 }),
      fc.uint8Array({ maxLength: 100 }),
      (part, times, bytes) => {
        const { utf8 } = webPlatform;
        if (utf8 === undefined) throw new Error("there is UTF-8 coding");
        const whole = part.repeat(times);
        const length = portableUtf8.byteLength(whole);
        expect(utf8.byteLength(whole)).toBe(length);
        const [ours, portable] = [new Uint8Array(length + 3), new Uint8Array(length + 3)];
        expect(utf8.encodeInto(whole, ours, 3)).toBe(portableUtf8.encodeInto(whole, portable, 3));
        expect(ours).toEqual(portable);
        expect(utf8.decode(ours, 3, ours.length)).toBe(portableUtf8.decode(ours, 3, ours.length));
        expect(utf8.decode(bytes, 1, bytes.length)).toBe(portableUtf8.decode(bytes, 1, bytes.length));
      },
    ),
  );
});

describe.each([
  ["with setImmediate, as Node, Deno and Bun have it", true],
  ["without, as in browsers", false],
])("webHost.after() %s", (_engine, hasImmediate) => {
  beforeEach(() => {
    vi.useFakeTimers();
    if (!hasImmediate) vi.stubGlobal("setImmediate", undefined);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it.each<[string, number, number, number]>([
    ["once, when it is due", 100, 1000, 1],
    ["not before", 100, 99, 0],
    ["Infinity: never", Infinity, 2 ** 40, 0],
    ["early, where no timer can be set that long, but not at once", 2 ** 40, 2 ** 31 - 2, 0],
    ["early, where no timer can be set that long", 2 ** 40, 2 ** 31, 1],
  ])("%s", (_, milliseconds, pass, times) => {
    const run = vi.fn();
    webHost.after(milliseconds, run);
    vi.advanceTimersByTime(pass);
    expect(run).toHaveBeenCalledTimes(times);
  });

  it.each([100, Infinity])("can be taken back: %s", (milliseconds) => {
    const run = vi.fn();
    webHost.after(milliseconds, run)();
    vi.advanceTimersByTime(2 ** 32);
    expect(run).not.toHaveBeenCalled();
  });

  it("can be taken back until it runs, also when it is due", () => {
    const run = vi.fn();
    const cancel = webHost.after(100, run);
    vi.advanceTimersToNextTimer();
    expect([vi.getTimerCount(), run.mock.calls]).toEqual([1, []]); // once more around the loop
    cancel();
    vi.runAllTimers();
    expect(run).not.toHaveBeenCalled();
  });

  it.each([
    [undefined, false],
    [true, true],
  ])("keeps the process alive where it is awaited: %s", (awaited, alive) => {
    const set = vi.spyOn(globalThis, "setTimeout");
    const cancel = webHost.after(100, () => undefined, awaited);
    expect((set.mock.results[0]?.value as NodeJS.Timeout).hasRef()).toBe(alive);
    cancel();
    set.mockRestore();
  });
});

describe("hrefOf()", () => {
  it.each<[string | { readonly href: string }, string]>([
    ["ws://example.com", "ws://example.com/"],
    ["WSS://EXAMPLE.com:443/a b?ü", "wss://example.com/a%20b?%C3%BC"],
    ["ws://bücher.example/", "ws://xn--bcher-kva.example/"],
    [new URL("ws://example.com/x"), "ws://example.com/x"],
    [{ href: "ws://example.com/x" }, "ws://example.com/x"],
  ])("%s", (url, href) => {
    expect(hrefOf(url)).toBe(href);
  });

  it.each(["", "/path", "example.com", undefined, 5, {}, null])("%s is none", (url) => {
    expect(() => hrefOf(url as string)).toThrow(UsageError);
  });
});
