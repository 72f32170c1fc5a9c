import { describe, expect, it } from "vitest";
import type { HeaderList, Origins } from "../../../src/index.js";
import { HandshakeRequest, refuseOrigin, UsageError } from "../../../src/index.js";

function request(origin: string | undefined, host: string, target = "/"): HandshakeRequest {
  const headers: HeaderList = [
    ["Host", host],
    ...(origin === undefined ? [] : [["Origin", origin] as const]),
  ];
  return new HandshakeRequest({ method: "GET", target, headers }, []);
}

const PASSES = true;
const REFUSED = false;

describe("refuseOrigin (RFC 6455 10.2): host and port only are compared", () => {
  it.each<
    [name: string, origin: string | undefined, host: string, origins: Origins | undefined, passes: boolean]
  >([
    ["no Origin: no browser sent it", undefined, "example.com", undefined, PASSES],
    ["no Origin, with a list", undefined, "example.com", ["https://a.example"], PASSES],
    ["same host, http", "http://example.com", "example.com", undefined, PASSES],
    ["same host, TLS ended before us", "https://example.com", "example.com", undefined, PASSES],
    ["same host in another case", "http://Example.COM", "eXample.com", undefined, PASSES],
    ["same host and port", "http://example.com:8080", "example.com:8080", undefined, PASSES],
    ["http's default port in Host", "http://example.com", "example.com:80", undefined, PASSES],
    ["https's default port in Host", "https://example.com", "example.com:443", undefined, PASSES],
    ["http's default port in Origin", "http://example.com:80", "example.com", undefined, PASSES],
    ["https's default port in Origin", "https://example.com:443", "example.com", undefined, PASSES],
    ["ws's default port", "ws://example.com", "example.com:80", undefined, PASSES],
    ["wss's default port", "wss://example.com", "example.com:443", undefined, PASSES],
    ["ws with https's port", "ws://example.com", "example.com:443", undefined, REFUSED],
    ["an IPv6 address", "http://[::1]", "[::1]", undefined, PASSES],
    ["an IPv6 address with the default port", "https://[::1]", "[::1]:443", undefined, PASSES],
    ["another IPv6 address", "http://[::2]", "[::1]", undefined, REFUSED],
    ["http's port against https", "https://example.com:80", "example.com", undefined, REFUSED],
    ["https's port against http", "http://example.com", "example.com:443", undefined, REFUSED],
    ["another port", "http://example.com:8081", "example.com:8080", undefined, REFUSED],
    ["a port in Host only", "http://example.com", "example.com:8080", undefined, REFUSED],
    ["a port in Origin only", "http://example.com:8080", "example.com", undefined, REFUSED],
    ["another host", "http://evil.example", "example.com", undefined, REFUSED],
    ["a host that ends alike", "http://notexample.com", "example.com", undefined, REFUSED],
    ["a host that begins alike", "http://example.com.evil.example", "example.com", undefined, REFUSED],
    ["a subdomain", "http://www.example.com", "example.com", undefined, REFUSED],
    ["a user in Origin", "http://example.com@evil.example", "example.com", undefined, REFUSED],
    ["a path in Origin", "http://example.com/", "example.com", undefined, REFUSED],
    ["another scheme", "chrome-extension://example.com", "example.com", undefined, REFUSED],
    ["null", "null", "example.com", undefined, REFUSED],
    ["null, with Host null", "null", "null", undefined, REFUSED],
    ["null, listed", "null", "example.com", ["null"], PASSES],
    ["file://", "file://", "example.com", undefined, REFUSED],
    ["file://, listed", "file://", "example.com", ["file://"], PASSES],
    ["empty", "", "example.com", undefined, REFUSED],
    ["a list of origins", "http://a, http://example.com", "example.com", undefined, REFUSED],
    ["listed", "https://a.example", "example.com", ["https://b.example", "https://a.example"], PASSES],
    ["not listed", "https://c.example", "example.com", ["https://b.example", "https://a.example"], REFUSED],
    ["listed with another scheme", "http://a.example", "example.com", ["https://a.example"], REFUSED],
    ["listed with another port", "https://a.example:1", "example.com", ["https://a.example"], REFUSED],
    [
      "the list is no list of prefixes",
      "https://a.example.evil",
      "example.com",
      ["https://a.example"],
      REFUSED,
    ],
    ["same host beside a list", "https://example.com", "example.com", ["https://a.example"], PASSES],
    ["*", "https://evil.example", "example.com", "*", PASSES],
    ["* and null", "null", "example.com", "*", PASSES],
    ["* in a list is an origin called so", "https://evil.example", "example.com", ["*"], REFUSED],
    ["an empty list", "https://evil.example", "example.com", [], REFUSED],
    [
      "a function that lets it in",
      "https://a.example",
      "example.com",
      (o) => o === "https://a.example",
      PASSES,
    ],
    [
      "a function that does not",
      "https://b.example",
      "example.com",
      (o) => o === "https://a.example",
      REFUSED,
    ],
  ])("%s", (_name, origin, host, origins, passes) => {
    const why = refuseOrigin(request(origin, host), origins);
    if (passes) {
      expect(why).toBeUndefined();
    } else {
      expect(why).toContain(JSON.stringify(origin));
      expect(why).toContain(JSON.stringify(host));
      expect(why).toContain("`origins`");
    }
  });

  it("hands the request to a function", () => {
    const asked = request("https://a.example", "example.com", "/path");
    const seen: unknown[] = [];
    refuseOrigin(asked, (...given) => seen.push(...given) > 0);
    expect(seen).toEqual(["https://a.example", asked]);
  });

  it.each<[string, unknown]>([
    ["a promise of true", Promise.resolve(true)],
    ["a promise of false", Promise.resolve(false)],
    ["1", 1],
    ["a string", "yes"],
    ["an object", {}],
    ["nothing", undefined],
    ["false", false],
  ])("a function that answers %s lets nobody in: only `true` does", (_, answer) => {
    const asked = request("https://a.example", "example.com");
    expect(refuseOrigin(asked, () => answer as boolean)).toBeDefined();
    expect(refuseOrigin(asked, () => true)).toBeUndefined();
  });

  it.each<[string, unknown]>([
    ["an origin that is not in a list", "https://a.example"],
    ["an empty string", ""],
    ["a RegExp", /a/],
    ["a Set", new Set(["https://a.example"])],
    ["true", true],
    ["null", null],
    ["an object", {}],
  ])("of %s throws, whatever the request", (_, origins) => {
    for (const origin of [undefined, "https://a.example", "http://example.com"]) {
      const act = (): unknown => refuseOrigin(request(origin, "example.com"), origins as Origins);
      expect(act).toThrow(UsageError);
      expect(act).toThrow(expect.objectContaining({ code: "bad-option" }) as Error);
    }
  });

  it("does not ask a function where no browser sent the request", () => {
    expect(
      refuseOrigin(request(undefined, "example.com"), () => {
        throw new Error("asked");
      }),
    ).toBeUndefined();
  });

  it("compares with the authority of an absolute-form target, which replaces Host (RFC 9112 3.2.2)", () => {
    expect(refuseOrigin(request("http://b.example", "a.example", "http://b.example/"))).toBeUndefined();
    expect(refuseOrigin(request("http://a.example", "a.example", "http://b.example/"))).toBeDefined();
  });

  it("keeps hostile values on one line, and short", () => {
    const why = refuseOrigin(request(`x\u0085"${"y".repeat(10_000)}`, "example.com")) ?? "";
    expect(why.length).toBeLessThan(400);
    expect(why).not.toMatch(/[\r\n]/);
  });
});
