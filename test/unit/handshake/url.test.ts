import { describe, expect, it } from "vitest";
import { parseUrl, UsageError } from "../../../src/index.js";

describe("a WebSocket URL is taken apart (RFC 6455 3)", () => {
  it.each([
    // url, secure, host, port, authority, target
    ["ws://example.com", false, "example.com", 80, "example.com", "/"],
    ["ws://example.com/", false, "example.com", 80, "example.com", "/"],
    ["wss://example.com/", true, "example.com", 443, "example.com", "/"],
    ["http://example.com/", false, "example.com", 80, "example.com", "/"],
    ["https://example.com/", true, "example.com", 443, "example.com", "/"],
    ["WS://EXAMPLE.com/Path", false, "example.com", 80, "example.com", "/Path"],
    ["WSS://h/", true, "h", 443, "h", "/"],
    ["ws://h?x", false, "h", 80, "h", "/?x"],
    ["ws://h?", false, "h", 80, "h", "/?"],
    ["ws://h/a/b?c=d&e=/?", false, "h", 80, "h", "/a/b?c=d&e=/?"],
    ["ws://h:80/", false, "h", 80, "h", "/"],
    ["ws://h:443/", false, "h", 443, "h:443", "/"],
    ["wss://h:443/", true, "h", 443, "h", "/"],
    ["wss://h:80/", true, "h", 80, "h:80", "/"],
    ["ws://h:8080/", false, "h", 8080, "h:8080", "/"],
    ["ws://h:08080/", false, "h", 8080, "h:8080", "/"],
    ["ws://h:65535/", false, "h", 65535, "h:65535", "/"],
    ["ws://h:/", false, "h", 80, "h", "/"],
    ["ws://[::1]/", false, "::1", 80, "[::1]", "/"],
    ["ws://[::1]:80/", false, "::1", 80, "[::1]", "/"],
    ["wss://[2001:DB8::1]:9000/x", true, "2001:db8::1", 9000, "[2001:db8::1]:9000", "/x"],
    ["ws://127.0.0.1:1/", false, "127.0.0.1", 1, "127.0.0.1:1", "/"],
    ["ws://h/%20%C3%A9", false, "h", 80, "h", "/%20%C3%A9"],
    ["ws://h//double", false, "h", 80, "h", "//double"],
  ])("%s", (url, secure, host, port, authority, target) => {
    expect(parseUrl(url)).toEqual({ secure, host, port, authority, target });
  });
});

describe("what is no WebSocket URL throws (RFC 6455 3)", () => {
  it.each([
    ["empty", ""],
    ["no scheme", "example.com/"],
    ["a path alone", "/chat"],
    ["another scheme", "ftp://example.com/"],
    ["a scheme that only begins so", "wsx://example.com/"],
    ["one slash", "ws:/example.com/"],
    ["no slashes", "ws:example.com"],
    ["white space before", " ws://example.com/"],
    ["white space after", "ws://example.com/ "],
    ["a fragment", "ws://h/#top"],
    ["an empty fragment", "ws://h/#"],
    ["a fragment after the host", "ws://h#top"],
    ["a fragment after the query", "ws://h?x#top"],
    ["a user", "ws://user@h/"],
    ["user and password", "ws://user:secret@h/"],
    ["an empty user", "ws://@h/"],
    ["no host", "ws:///chat"],
    ["a port alone", "ws://:80/"],
    ["port 0", "ws://h:0/"],
    ["port 65536", "ws://h:65536/"],
    ["a port with letters", "ws://h:8o/"],
    ["a negative port", "ws://h:-1/"],
    ["two ports", "ws://h:1:2/"],
    ["a bracket that stays open", "ws://[::1/"],
    ["IPv6 without brackets", "ws://::1/"],
    ["empty brackets", "ws://[]/"],
    ["a name in brackets", "ws://[host]/"],
    ["a space in the host", "ws://h h/"],
    ["a backslash in the host", "ws://h\\h/"],
    ["a host beyond ASCII", "ws://b\u00fccher.example/"],
    ["a path beyond ASCII", "ws://h/caf\u00e9"],
    ["a query beyond ASCII", "ws://h/?caf\u00e9"],
    ["a space in the path", "ws://h/a b"],
    ["a tab in the path", "ws://h/a\tb"],
    ["CR LF in the path", "ws://h/a\r\nX: y"],
    ["LF at the end", "ws://h/a\n"],
    ["LF in the query", "ws://h/?a\nb"],
    ["LF in the host", "ws://h\n/"],
    ["NUL in the path", "ws://h/\0"],
    ["DEL in the path", "ws://h/\x7f"],
  ])("%s", (_name, url) => {
    let error: unknown;
    try {
      parseUrl(url);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code: "bad-url" });
    // The message stays on one line, whatever the URL holds.
    expect((error as UsageError).message).not.toMatch(/[\r\n\0]/);
  });
});
