import { describe, expect, it } from "vitest";
import type {
  Accepted,
  Agreement,
  Extension,
  ExtensionOffer,
  ExtensionParameter,
} from "../../../src/index.js";
import { ClientConnection, headerValue, ServerConnection } from "../../../src/index.js";
import { formatExtensions, parseExtensions } from "../../../src/handshake/extensions.js";
import { parseTokenList } from "../../../src/handshake/tokens.js";
import {
  eventsOf,
  latin1Bytes,
  latin1Text,
  only,
  parseWritten,
  testOptions,
  typesOf,
  upgradeRequest,
  upgradeResponse,
} from "../../support/http.js";

const FIELD = "Sec-WebSocket-Extensions";
type Parameters = readonly ExtensionParameter[];

/** An extension that does nothing but negotiate, and remembers what it was asked. */
class MadeUp implements Extension {
  readonly asked: Parameters[] = [];
  readonly name: string;
  private readonly offers: readonly Parameters[];
  private readonly decide: (given: Parameters) => Parameters | undefined;

  /** `decide` answers an offer, or, by a value at all, confirms an answer. */
  constructor(
    name: string,
    decide: (given: Parameters) => Parameters | undefined = (given) => given,
    offers: readonly Parameters[] = [[]],
  ) {
    this.name = name;
    this.decide = decide;
    this.offers = offers;
  }

  offer(): readonly Parameters[] {
    return this.offers;
  }

  accept(offer: Parameters): Accepted | undefined {
    this.asked.push(offer);
    const parameters = this.decide(offer);
    return parameters && { parameters };
  }

  confirm(answer: Parameters): Accepted | undefined {
    return this.accept(answer);
  }
}

const offer = (name: string, ...parameters: ExtensionParameter[]): ExtensionOffer => ({ name, parameters });

describe("Sec-WebSocket-Extensions is read (RFC 6455 9.1)", () => {
  it.each<[field: string, offers: ExtensionOffer[]]>([
    ["", []],
    [" \t ", []],
    [",", []],
    [" , ,\t,", []],
    ["foo", [offer("foo")]],
    ["Foo", [offer("Foo")]],
    [" foo ", [offer("foo")]],
    ["foo,", [offer("foo")]],
    [",foo", [offer("foo")]],
    ["foo,bar", [offer("foo"), offer("bar")]],
    ["foo, , bar", [offer("foo"), offer("bar")]],
    ["foo,foo", [offer("foo"), offer("foo")]],
    ["foo;a", [offer("foo", ["a", undefined])]],
    ["foo ; a", [offer("foo", ["a", undefined])]],
    ["foo\t;\ta\t", [offer("foo", ["a", undefined])]],
    ["foo;a;b;a", [offer("foo", ["a", undefined], ["b", undefined], ["a", undefined])]],
    ["foo;a=1", [offer("foo", ["a", "1"])]],
    ["foo; a = 1 ; b=2", [offer("foo", ["a", "1"], ["b", "2"])]],
    ['foo;a="1"', [offer("foo", ["a", "1"])]],
    ['foo; a = "1" , bar', [offer("foo", ["a", "1"]), offer("bar")]],
    ['foo;a="\\1\\0"', [offer("foo", ["a", "10"])]],
    ['foo;a="b\\c"', [offer("foo", ["a", "bc"])]],
    ["foo;__proto__=1", [offer("foo", ["__proto__", "1"])]],
    ["__proto__;constructor", [offer("__proto__", ["constructor", undefined])]],
    [
      "permessage-deflate; client_max_window_bits, permessage-deflate; server_max_window_bits=10",
      [
        offer("permessage-deflate", ["client_max_window_bits", undefined]),
        offer("permessage-deflate", ["server_max_window_bits", "10"]),
      ],
    ],
    ["!#$%&'*+-.^_`|~;!=~", [offer("!#$%&'*+-.^_`|~", ["!", "~"])]],
  ])("%j", (field, offers) => {
    expect(parseExtensions(field)).toEqual(offers);
    const again = formatExtensions(offers);
    expect(parseExtensions(again)).toEqual(offers);
  });

  it.each([
    "foo bar",
    "foo\tbar",
    "foo;",
    "foo;;a",
    "foo;=a",
    "foo;a=",
    "foo;a= ,bar",
    "foo;a==b",
    "foo;a=b=c",
    "foo;a b",
    "foo;a=b c",
    'foo;a="',
    'foo;a="b',
    'foo;a="b\\"',
    'foo;a=""',
    'foo;a="b c"',
    'foo;a="b,c"',
    'foo;a="b;c"',
    'foo;a="b\\"c"',
    'foo;a="b"c',
    'foo;a="b""c"',
    'foo;a=b"c"',
    'foo;"a"=b',
    '"foo"',
    "foo=a",
    "foo/1",
    ";a",
    "=",
    "foo,;a",
    "foo\u00a0",
    "f\u00f6\u00f6",
    "foo;a=\u0130",
    "foo\0",
  ])("malformed: %j", (field) => {
    expect(parseExtensions(field)).toBeUndefined();
  });

  it.each<[name: string, piece: string, malformed: boolean]>([
    ["commas", ",", false],
    ["white space", " ", false],
    ["white space and commas", " ,", false],
    ["offers", "a,", false],
    ["parameters", ";a", true],
    ["quotes", '"', true],
    ["quoted strings", 'a;b="c",', false],
    ["quoted strings that stay open", 'a;b="', true],
    ["backslashes", "\\", true],
    ["escapes", "\\a", true],
    ["semicolons", ";", true],
  ])("32 KiB and 1 MiB of %s finish", (_name, piece, malformed) => {
    for (const size of [32 * 1024, 1024 * 1024]) {
      for (const before of ["", "x", 'x;y="', "x;y="]) {
        const read = parseExtensions(before + piece.repeat(size / piece.length));
        if (before === "") expect(read === undefined).toBe(malformed);
      }
    }
  });

  it.each([",", " ", "a,", "a", "\t,", "a\u00e9"])("a list of tokens, 1 MiB of %j, finishes", (piece) => {
    const read = parseTokenList(piece.repeat((1024 * 1024) / piece.length));
    expect(read === undefined).toBe(piece === "a\u00e9");
  });

  it("reads each character a bounded number of times", () => {
    // A field that counts how often it is looked at, at one length and at four times that length.
    const looks = (length: number): number => {
      let count = 0;
      const text = 'a;b="\\c\\d"; e , '.repeat(length);
      const spy = new Proxy(Object(text) as object, {
        get(_target, key) {
          count++;
          const value: unknown = Reflect.get(Object(text) as object, key);
          return typeof value === "function" ? (value.bind(text) as unknown) : value;
        },
      }) as unknown as string;
      expect(parseExtensions(spy)).toHaveLength(length);
      return count;
    };
    expect(looks(4000)).toBeLessThanOrEqual(looks(1000) * 4 + 64);
  });
});

describe("a server negotiates extensions (RFC 6455 9.1)", () => {
  interface Row {
    readonly field: string | readonly string[] | undefined;
    readonly extensions: readonly MadeUp[];
    readonly agreed: readonly Agreement[];
    /** What each extension was asked, in order. */
    readonly asked: readonly (readonly Parameters[])[];
  }
  const never = (): undefined => undefined;

  it.each<[name: string, row: Row]>([
    ["nothing is offered", { field: undefined, extensions: [new MadeUp("foo")], agreed: [], asked: [[]] }],
    ["nothing is wanted", { field: "foo", extensions: [], agreed: [], asked: [] }],
    [
      "another one is offered",
      { field: "bar, FOO, fo, fooo", extensions: [new MadeUp("foo")], agreed: [], asked: [[]] },
    ],
    [
      "it is accepted",
      { field: "foo", extensions: [new MadeUp("foo")], agreed: [offer("foo")], asked: [[[]]] },
    ],
    [
      "it is accepted with parameters of its own",
      {
        field: "foo; a=1",
        extensions: [
          new MadeUp("foo", () => [
            ["b", "2"],
            ["c", undefined],
          ]),
        ],
        agreed: [offer("foo", ["b", "2"], ["c", undefined])],
        asked: [[[["a", "1"]]]],
      },
    ],
    [
      "it is declined: no header, and no refusal",
      { field: "foo; a=1", extensions: [new MadeUp("foo", never)], agreed: [], asked: [[[["a", "1"]]]] },
    ],
    [
      "of several offers the first that is not declined",
      {
        field: ["foo; a=1, foo; a=2", "foo; a=3"],
        extensions: [new MadeUp("foo", (given) => (given[0]?.[1] === "1" ? undefined : given))],
        agreed: [offer("foo", ["a", "2"])],
        asked: [[[["a", "1"]], [["a", "2"]]]],
      },
    ],
    [
      "several extensions, in the client's order",
      {
        field: "bar; x, unknown, foo; y",
        extensions: [new MadeUp("foo"), new MadeUp("bar")],
        agreed: [offer("bar", ["x", undefined]), offer("foo", ["y", undefined])],
        asked: [[[["y", undefined]]], [[["x", undefined]]]],
      },
    ],
    [
      "quoted values come without quotes and escapes",
      {
        field: 'foo; a="1\\0"; b = "c"',
        extensions: [new MadeUp("foo")],
        agreed: [offer("foo", ["a", "10"], ["b", "c"])],
        asked: [
          [
            [
              ["a", "10"],
              ["b", "c"],
            ],
          ],
        ],
      },
    ],
    [
      "empty elements",
      { field: ", ,foo,,", extensions: [new MadeUp("foo")], agreed: [offer("foo")], asked: [[[]]] },
    ],
    [
      "a parameter twice is told twice: the extension judges",
      {
        field: "foo; a; a",
        extensions: [new MadeUp("foo", (given) => (given.length > 1 ? undefined : given))],
        agreed: [],
        asked: [
          [
            [
              ["a", undefined],
              ["a", undefined],
            ],
          ],
        ],
      },
    ],
    [
      "names of prototypes are names",
      {
        field: "__proto__; __proto__=constructor, constructor, toString",
        extensions: [new MadeUp("__proto__"), new MadeUp("constructor")],
        agreed: [offer("__proto__", ["__proto__", "constructor"]), offer("constructor")],
        asked: [[[["__proto__", "constructor"]]], [[]]],
      },
    ],
  ])("%s", (_name, { field, extensions, agreed, asked }) => {
    const connection = new ServerConnection(testOptions({ extensions }));
    connection.receive(latin1Bytes(upgradeRequest({ [FIELD]: field })));
    expect(typesOf(eventsOf(connection))).toBe("request");
    expect(connection.accept()).toBe(true);
    expect(extensions.map((extension) => extension.asked)).toEqual(asked);
    const response = parseWritten(latin1Text(connection.takeOutput()));
    expect(response.header(FIELD)).toBe(agreed.length === 0 ? undefined : formatExtensions(agreed));
    expect(only(eventsOf(connection), "open").extensions).toEqual(agreed);
  });

  it("asks nobody before accept(), nor for a rejection", () => {
    const extension = new MadeUp("foo");
    const connection = new ServerConnection(testOptions({ extensions: [extension] }));
    connection.receive(latin1Bytes(upgradeRequest({ [FIELD]: "foo" })));
    eventsOf(connection);
    connection.reject({ status: 403 });
    expect(extension.asked).toEqual([]);
    expect(parseWritten(latin1Text(connection.takeOutput())).header(FIELD)).toBeUndefined();
  });

  it("a head full of offers is answered", () => {
    const extension = new MadeUp("a", never);
    const connection = new ServerConnection(
      testOptions({ extensions: [extension], limits: { head: 40_000 } }),
    );
    connection.receive(latin1Bytes(upgradeRequest({ [FIELD]: "a,".repeat(16 * 1024) })));
    expect(typesOf(eventsOf(connection))).toBe("request");
    expect(connection.accept()).toBe(true);
    expect(extension.asked).toHaveLength(16 * 1024);
  });

  it("an extension that throws leaves the request unanswered", () => {
    const extension = new MadeUp("foo", () => {
      throw new Error("mine");
    });
    const connection = new ServerConnection(testOptions({ extensions: [extension] }));
    connection.receive(latin1Bytes(upgradeRequest({ [FIELD]: "foo" })));
    eventsOf(connection);
    expect(() => connection.accept()).toThrow("mine");
    expect(connection).toMatchObject({ state: "connecting", outputSize: 0 });
    expect(connection.reject({ status: 500 })).toBe(true);
  });
});

describe("a client negotiates extensions (RFC 6455 4.1, 9.1)", () => {
  it.each<[name: string, extensions: MadeUp[], field: string | undefined]>([
    ["none", [], undefined],
    ["one that offers nothing", [new MadeUp("foo", undefined, [])], undefined],
    ["one", [new MadeUp("foo")], "foo"],
    [
      "several offers with parameters, the preferred first",
      [
        new MadeUp("foo", undefined, [
          [
            ["a", "1"],
            ["b", undefined],
          ],
          [["a", "2"]],
          [],
        ]),
      ],
      "foo; a=1; b, foo; a=2, foo",
    ],
    ["two", [new MadeUp("b"), new MadeUp("a", undefined, [[["x", "y"]]])], "b, a; x=y"],
  ])("the offer: %s", (_name, extensions, field) => {
    const connection = new ClientConnection("ws://h/", testOptions({ extensions }));
    expect(parseWritten(latin1Text(connection.takeOutput())).header(FIELD)).toBe(field);
  });

  const isEven = (given: Parameters): Parameters | undefined =>
    given.every(([, value]) => Number(value) % 2 === 0) ? given : undefined;

  it.each<
    [name: string, extensions: MadeUp[], field: string | readonly string[], agreed: Agreement[] | undefined]
  >([
    ["none is in use", [new MadeUp("foo")], "", []],
    ["one is", [new MadeUp("foo")], "foo", [offer("foo")]],
    ["with parameters that fit", [new MadeUp("foo", isEven)], "foo; a=2", [offer("foo", ["a", "2"])]],
    ["quoted", [new MadeUp("foo", isEven)], 'foo; a="\\2"', [offer("foo", ["a", "2"])]],
    ["in the server's order", [new MadeUp("a"), new MadeUp("b")], "b, a", [offer("b"), offer("a")]],
    ["erratum 3433: in two fields", [new MadeUp("a"), new MadeUp("b")], ["b", "a"], [offer("b"), offer("a")]],
    ["empty elements", [new MadeUp("foo")], ",foo,,", [offer("foo")]],
    ["parameters that do not fit", [new MadeUp("foo", isEven)], "foo; a=1", undefined],
    ["one that was not offered", [new MadeUp("foo")], "bar", undefined],
    ["one more than was offered", [new MadeUp("foo")], "foo, bar", undefined],
    ["in another case", [new MadeUp("foo")], "Foo", undefined],
    ["one twice", [new MadeUp("foo")], "foo, foo", undefined],
    ["one twice, in two fields", [new MadeUp("foo")], ["foo", "foo"], undefined],
    ["a prototype's name", [new MadeUp("foo")], "__proto__", undefined],
    ["malformed", [new MadeUp("foo")], "foo;", undefined],
  ])("the answer: %s", (_name, extensions, field, agreed) => {
    const connection = new ClientConnection("ws://h/", testOptions({ extensions }));
    connection.takeOutput();
    const key = headerValue(connection.request.headers, "sec-websocket-key") ?? "";
    connection.receive(latin1Bytes(upgradeResponse(key, { [FIELD]: field })));
    const events = eventsOf(connection);
    if (agreed === undefined) {
      expect(typesOf(events)).toBe("closing");
      expect(only(events, "closing")).toMatchObject({ code: 1006, cause: { rule: "response-extension" } });
    } else {
      expect(typesOf(events)).toBe("open");
      expect(only(events, "open").extensions).toEqual(agreed);
    }
  });
});

describe("what an extension says must be tokens: nothing injects a line", () => {
  it.each<[name: string, parameters: Parameters]>([
    ["a name with CR LF", []],
    ["a parameter's name with CR LF", [["a\r\nb", undefined]]],
    ["a parameter's value with a quote", [["a", 'b"']]],
    ["an empty value", [["a", ""]]],
  ])("%s", (name, parameters) => {
    const extension = name.startsWith("a name")
      ? new MadeUp("foo\r\nbar")
      : new MadeUp("foo", () => parameters, [parameters]);
    expect(() => new ClientConnection("ws://h/", testOptions({ extensions: [extension] }))).toThrow(
      expect.objectContaining({ name: "UsageError", code: "bad-header" }),
    );
    if (extension.name !== "foo") return; // no request can offer that
    const server = new ServerConnection(testOptions({ extensions: [extension] }));
    server.receive(latin1Bytes(upgradeRequest({ [FIELD]: "foo" })));
    expect(typesOf(eventsOf(server))).toBe("request");
    expect(() => server.accept()).toThrow(expect.objectContaining({ code: "bad-header" }));
    expect(server.outputSize).toBe(0);
    expect(server.reject({ status: 500 })).toBe(true);
  });
});

describe("both sides agree", () => {
  it("over bytes: offers, choice, parameters", () => {
    const mine = new MadeUp("foo", (given) => given, [[["level", "9"]], [["level", "1"]]]);
    const theirs = new MadeUp("foo", (given) =>
      given[0]?.[1] === "9" ? undefined : [...given, ["ok", undefined]],
    );
    const client = new ClientConnection("ws://h/", testOptions({ extensions: [mine] }));
    const server = new ServerConnection(testOptions({ extensions: [theirs] }));
    server.receive(latin1Bytes(latin1Text(client.takeOutput())));
    expect(typesOf(eventsOf(server))).toBe("request");
    server.accept();
    client.receive(latin1Bytes(latin1Text(server.takeOutput())));
    const agreed = [offer("foo", ["level", "1"], ["ok", undefined])];
    expect(only(eventsOf(client), "open").extensions).toEqual(agreed);
    expect(only(eventsOf(server), "open").extensions).toEqual(agreed);
    expect(mine.asked).toEqual([agreed[0]?.parameters]);
  });
});
