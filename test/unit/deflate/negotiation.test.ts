import { describe, expect, it } from "vitest";
import type { DeflateNegotiationOptions, DeflateParameters } from "../../../src/deflate/negotiation.js";
import {
  acceptDeflate,
  confirmDeflate,
  deflateDirections,
  offerDeflate,
  PERMESSAGE_DEFLATE,
  wantedDeflate,
} from "../../../src/deflate/negotiation.js";
import type { Extension, ExtensionParameter } from "../../../src/handshake/extensions.js";
import { acceptExtensions, formatExtensions, parseExtensions } from "../../../src/handshake/extensions.js";

/** The parameters behind each offer of `field`, a Sec-WebSocket-Extensions field whose names are left out: "a; b=1, c". */
function offersOf(field: string): (readonly ExtensionParameter[])[] {
  const elements = field.split(/\s*,\s*/).map((text) => (text === "" ? "x" : `x; ${text}`));
  const parsed = parseExtensions(elements.join(", "));
  if (parsed === undefined) throw new Error(`the test's own field is malformed: ${field}`);
  return parsed.map(({ parameters }) => parameters);
}

function parametersOf(text: string): readonly ExtensionParameter[] {
  return offersOf(text)[0] ?? [];
}

/** "a; b=1" */
function textOf(parameters: readonly ExtensionParameter[]): string {
  return formatExtensions([{ name: "x", parameters }]).slice("x; ".length);
}

const WIDE: DeflateParameters = {
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
};
const both = { serverNoContextTakeover: true, clientNoContextTakeover: true };
const neither = { serverNoContextTakeover: false, clientNoContextTakeover: false };

describe("what is wanted", () => {
  it("by default a server keeps no windows, and a client keeps what the server lets it", () => {
    expect(wantedDeflate("server")).toEqual({ ...WIDE, ...both });
    expect(wantedDeflate("client")).toEqual(WIDE);
    expect(wantedDeflate("server", {})).toEqual(wantedDeflate("server"));
    const nothing = {
      serverNoContextTakeover: undefined,
      clientNoContextTakeover: undefined,
      serverMaxWindowBits: undefined,
      clientMaxWindowBits: undefined,
    };
    for (const role of ["client", "server"] as const) {
      expect(wantedDeflate(role, nothing)).toEqual(wantedDeflate(role));
    }
  });

  it.each<DeflateParameters>([
    { ...neither, serverMaxWindowBits: 8, clientMaxWindowBits: 15 },
    { ...both, serverMaxWindowBits: 15, clientMaxWindowBits: 8 },
    {
      serverNoContextTakeover: true,
      clientNoContextTakeover: false,
      serverMaxWindowBits: 9,
      clientMaxWindowBits: 14,
    },
    {
      serverNoContextTakeover: false,
      clientNoContextTakeover: true,
      serverMaxWindowBits: 12,
      clientMaxWindowBits: 10,
    },
  ])("as it was said: %j", (options) => {
    expect(wantedDeflate("client", options)).toEqual(options);
    expect(wantedDeflate("server", options)).toEqual(options);
  });

  describe.each(["serverMaxWindowBits", "clientMaxWindowBits"] as const)("%s", (name) => {
    it.each([7, 16, 0, -8, 8.5, NaN, Infinity, "10", true, false, null, 10n])("bad: %s", (value) => {
      for (const role of ["client", "server"] as const) {
        expect(() => wantedDeflate(role, { [name]: value })).toThrow(
          expect.objectContaining({
            name: "UsageError",
            code: "bad-option",
            message: expect.stringContaining(name) as unknown,
          }),
        );
      }
    });
  });

  describe.each(["serverNoContextTakeover", "clientNoContextTakeover"] as const)("%s", (name) => {
    it.each([0, 1, "true", "", null, {}])("bad: %j", (value) => {
      for (const role of ["client", "server"] as const) {
        expect(() => wantedDeflate(role, { [name]: value })).toThrow(
          expect.objectContaining({
            name: "UsageError",
            code: "bad-option",
            message: expect.stringContaining(name) as unknown,
          }),
        );
      }
    });
  });
});

describe("a client offers (RFC 7692 7.1)", () => {
  it.each<[options: DeflateNegotiationOptions, offer: string]>([
    [{}, "client_max_window_bits"],
    [{ clientMaxWindowBits: 15 }, "client_max_window_bits"],
    [{ clientMaxWindowBits: 14 }, "client_max_window_bits=14"],
    [{ clientMaxWindowBits: 8 }, "client_max_window_bits=8"],
    [{ serverMaxWindowBits: 15 }, "client_max_window_bits"],
    [{ serverMaxWindowBits: 10 }, "server_max_window_bits=10; client_max_window_bits"],
    [{ serverNoContextTakeover: true }, "server_no_context_takeover; client_max_window_bits"],
    [{ clientNoContextTakeover: true }, "client_no_context_takeover; client_max_window_bits"],
    [
      { ...both, serverMaxWindowBits: 9, clientMaxWindowBits: 11 },
      "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=11",
    ],
  ])("%j", (options, offer) => {
    const offers = offerDeflate(wantedDeflate("client", options));
    expect(offers.map(textOf)).toEqual([offer]);
  });

  it("several, the preferred first, and none", () => {
    const [preferred, other] = [{ serverMaxWindowBits: 10 }, {}].map((options) =>
      wantedDeflate("client", options),
    ) as [DeflateParameters, DeflateParameters];
    expect(offerDeflate(preferred, other).map(textOf)).toEqual([
      "server_max_window_bits=10; client_max_window_bits",
      "client_max_window_bits",
    ]);
    expect(offerDeflate()).toEqual([]);
  });
});

describe("a server answers an offer", () => {
  type Row = readonly [
    offer: string,
    wanted: Partial<DeflateParameters>,
    answer: string,
    agreed: Partial<DeflateParameters>,
  ];
  const noServer = { serverNoContextTakeover: true };
  const noClient = { clientNoContextTakeover: true };

  it.each<Row>([
    // The bare extension, as Firefox offers it: the client's window cannot be bounded (RFC 7692 7.1.2.2).
    ["", {}, "", {}],
    ["", { clientMaxWindowBits: 10 }, "", {}],
    // Nor is the server's told, if nobody asked; it is smaller all the same.
    ["", { serverMaxWindowBits: 10 }, "", { serverMaxWindowBits: 10 }],
    // RFC 7692 7.1.1.1
    ["server_no_context_takeover", {}, "server_no_context_takeover", noServer],
    ["server_no_context_takeover", noServer, "server_no_context_takeover", noServer],
    ["", noServer, "server_no_context_takeover", noServer],
    // RFC 7692 7.1.1.2
    ["client_no_context_takeover", {}, "client_no_context_takeover", noClient],
    ["client_no_context_takeover", noClient, "client_no_context_takeover", noClient],
    ["", noClient, "client_no_context_takeover", noClient],
    ["", both, "server_no_context_takeover; client_no_context_takeover", both],
    // RFC 7692 7.1.2.1: the same or smaller, and always told
    ["server_max_window_bits=8", {}, "server_max_window_bits=8", { serverMaxWindowBits: 8 }],
    ["server_max_window_bits=9", {}, "server_max_window_bits=9", { serverMaxWindowBits: 9 }],
    ["server_max_window_bits=10", {}, "server_max_window_bits=10", { serverMaxWindowBits: 10 }],
    ["server_max_window_bits=15", {}, "server_max_window_bits=15", {}],
    [
      "server_max_window_bits=12",
      { serverMaxWindowBits: 10 },
      "server_max_window_bits=10",
      { serverMaxWindowBits: 10 },
    ],
    [
      "server_max_window_bits=10",
      { serverMaxWindowBits: 12 },
      "server_max_window_bits=10",
      { serverMaxWindowBits: 10 },
    ],
    // RFC 7692 7.1.2.2: a value is a hint, which costs nothing to take up
    ["client_max_window_bits", {}, "", {}],
    ["client_max_window_bits=15", {}, "", {}],
    ["client_max_window_bits=10", {}, "client_max_window_bits=10", { clientMaxWindowBits: 10 }],
    ["client_max_window_bits=8", {}, "client_max_window_bits=8", { clientMaxWindowBits: 8 }],
    [
      "client_max_window_bits",
      { clientMaxWindowBits: 12 },
      "client_max_window_bits=12",
      { clientMaxWindowBits: 12 },
    ],
    [
      "client_max_window_bits=10",
      { clientMaxWindowBits: 12 },
      "client_max_window_bits=10",
      { clientMaxWindowBits: 10 },
    ],
    [
      "client_max_window_bits=14",
      { clientMaxWindowBits: 12 },
      "client_max_window_bits=12",
      { clientMaxWindowBits: 12 },
    ],
    // Quoted (RFC 7692 5, RFC 6455 9.1), and in any order
    [
      'client_max_window_bits="10"; server_max_window_bits="\\9"',
      {},
      "server_max_window_bits=9; client_max_window_bits=10",
      { serverMaxWindowBits: 9, clientMaxWindowBits: 10 },
    ],
    [
      "client_max_window_bits; client_no_context_takeover; server_max_window_bits=11; server_no_context_takeover",
      { clientMaxWindowBits: 9 },
      "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11; client_max_window_bits=9",
      { ...both, serverMaxWindowBits: 11, clientMaxWindowBits: 9 },
    ],
  ])("%j with %j", (offer, wanted, answer, agreed) => {
    const result = acceptDeflate(parametersOf(offer), { ...WIDE, ...wanted });
    expect(result && { answer: textOf(result.answer), agreed: result.agreed }).toEqual({
      answer,
      agreed: { ...WIDE, ...agreed },
    });
  });

  it("of several, the first that it does not decline; and none, where there is none", () => {
    const deflate: Extension = {
      name: PERMESSAGE_DEFLATE,
      offer: () => [],
      accept: (offer) => {
        const accepted = acceptDeflate(offer, WIDE);
        return accepted && { parameters: accepted.answer };
      },
      confirm: () => undefined,
    };
    const answerTo = (field: string): string | undefined => {
      const { extensions } = acceptExtensions(parseExtensions(field) ?? [], [deflate], {});
      return extensions.length === 0 ? undefined : formatExtensions(extensions);
    };
    const rows: readonly (readonly [field: string, answer: string | undefined])[] = [
      // A wish, and behind it the same without it.
      [
        "permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=10",
      ],
      ["permessage-deflate; server_max_window_bits=7, permessage-deflate", "permessage-deflate"],
      ["permessage-deflate; unknown, permessage-deflate; server_max_window_bits=16", undefined],
      ["permessage-deflate-2, permessage-deflat", undefined],
      ["Permessage-Deflate, PERMESSAGE-DEFLATE", undefined],
      ["__proto__, constructor, toString; __proto__=1", undefined],
      ["__proto__, permessage-deflate; constructor, permessage-deflate", "permessage-deflate"],
      ["x-webkit-deflate-frame", undefined],
    ];
    expect(rows.map(([field]) => answerTo(field))).toEqual(rows.map(([, answer]) => answer));
  });
});

/** What neither an offer nor an answer may say (RFC 7692 7): unknown, twice, with a value, without one, with a bad one. */
const MALFORMED: readonly string[] = [
  "unknown",
  "unknown=1",
  "server_max_window_bits_=10",
  "max_window_bits=10",
  "no_context_takeover",
  "__proto__",
  "__proto__=10",
  "constructor",
  "hasOwnProperty=8",
  "Server_No_Context_Takeover",
  "SERVER_MAX_WINDOW_BITS=10",
  "client_no_context_takeover; x",
  "x; client_no_context_takeover",
  "server_no_context_takeover=",
  "server_no_context_takeover=1",
  "server_no_context_takeover=true",
  'server_no_context_takeover="true"',
  "client_no_context_takeover=0",
  "client_no_context_takeover=false",
  "server_no_context_takeover; server_no_context_takeover",
  "client_no_context_takeover; client_no_context_takeover",
  "server_no_context_takeover; client_no_context_takeover; server_no_context_takeover",
  "server_max_window_bits=10; server_max_window_bits=10",
  "server_max_window_bits=10; server_max_window_bits=11",
  "client_max_window_bits=10; client_max_window_bits=10",
  "client_max_window_bits; client_max_window_bits",
  "client_max_window_bits; client_max_window_bits=10",
  "client_max_window_bits=10; client_max_window_bits",
  "server_max_window_bits",
];

const BAD_BITS: readonly string[] = [
  ...["0", "1", "7", "16", "17", "20", "80", "100", "150", "256", "4294967304"],
  ...["08", "09", "010", "0010", "00000000000000000008"],
  ...["+9", "-9", "9.0", "9.", ".9", "1e1", "0xa", "0b1001", "0o11", "9a", "a9", "9_0", "9n"],
  ...["", " ", " 9", "9 ", "9\n", "\n9", "9\r\n10", "\t9", "1 0"],
  ...["NaN", "Infinity", "null", "true", "undefined", "any"],
  ...["\u0669", "\uff19", "\u2468", "9\u0300", "9\0"],
];

describe("what is malformed", () => {
  const bad: readonly (readonly ExtensionParameter[])[] = [
    // The grammar knows no empty value, but heads that come as data may hold one.
    ...MALFORMED.map((text): readonly ExtensionParameter[] =>
      text.endsWith("=") ? [[text.slice(0, -1), ""]] : parametersOf(text),
    ),
    ...["server_max_window_bits", "client_max_window_bits"].flatMap((name) =>
      BAD_BITS.map((value): readonly ExtensionParameter[] => [[name, value]]),
    ),
  ];

  it.each(bad.map((parameters) => [JSON.stringify(parameters), parameters] as const))(
    "%s",
    (_name, given) => {
      // A server declines it (RFC 7692 7), whatever else it says, and wherever.
      expect(acceptDeflate(given, WIDE)).toBeUndefined();
      expect(acceptDeflate(given, wantedDeflate("server"))).toBeUndefined();
      // A client fails the connection (RFC 7692 7), even if it offered the very same.
      const offers = offersOf("server_max_window_bits=15; client_max_window_bits, client_max_window_bits, ");
      expect(confirmDeflate(given, offers)).toBeUndefined();
      expect(confirmDeflate(given, [given])).toBeUndefined();
      expect(confirmDeflate([], [given])).toBeUndefined();
    },
  );

  it("all well-formed values are taken", () => {
    for (let bits = 8; bits <= 15; bits++) {
      for (const name of ["server_max_window_bits", "client_max_window_bits"]) {
        const given: readonly ExtensionParameter[] = [[name, String(bits)]];
        const key = name.startsWith("server") ? "serverMaxWindowBits" : "clientMaxWindowBits";
        expect(acceptDeflate(given, WIDE)?.agreed).toEqual({ ...WIDE, [key]: bits });
        expect(confirmDeflate(given, [given])).toEqual({ ...WIDE, [key]: bits });
      }
    }
  });
});

describe("a client judges the answer", () => {
  type Row = readonly [offers: string, answer: string, agreed: Partial<DeflateParameters> | undefined];
  const ANY = "client_max_window_bits";
  const noServer = { serverNoContextTakeover: true };
  const noClient = { clientNoContextTakeover: true };

  it.each<Row>([
    ["", "", {}],
    [ANY, "", {}],
    // RFC 7692 7.1.1.1: echoed, or the connection fails; erratum 4982: obeyed also where it was not asked for
    ["server_no_context_takeover", "server_no_context_takeover", noServer],
    ["server_no_context_takeover", "", undefined],
    ["server_no_context_takeover", "client_no_context_takeover", undefined],
    ["", "server_no_context_takeover", noServer],
    // RFC 7692 7.1.1.2: a promise, and an order that may come unasked
    ["client_no_context_takeover", "client_no_context_takeover", noClient],
    ["client_no_context_takeover", "", noClient],
    ["", "client_no_context_takeover", noClient],
    // RFC 7692 7.1.2.1: the same or smaller, never missing; also unasked
    ["server_max_window_bits=10", "server_max_window_bits=10", { serverMaxWindowBits: 10 }],
    ["server_max_window_bits=10", "server_max_window_bits=8", { serverMaxWindowBits: 8 }],
    ["server_max_window_bits=10", "server_max_window_bits=11", undefined],
    ["server_max_window_bits=10", "server_max_window_bits=15", undefined],
    ["server_max_window_bits=10", "", undefined],
    ["server_max_window_bits=15", "", undefined],
    ["server_max_window_bits=15", "server_max_window_bits=15", {}],
    ["", "server_max_window_bits=8", { serverMaxWindowBits: 8 }],
    ["", "server_max_window_bits=15", {}],
    // RFC 7692 7.1.2.2: only if it was offered, and with a value
    ["", "client_max_window_bits=15", undefined],
    ["", "client_max_window_bits=10", undefined],
    ["", ANY, undefined],
    [ANY, ANY, undefined],
    ["client_max_window_bits=10", ANY, undefined],
    [ANY, "client_max_window_bits=8", { clientMaxWindowBits: 8 }],
    [ANY, "client_max_window_bits=15", {}],
    ["client_max_window_bits=10", "client_max_window_bits=9", { clientMaxWindowBits: 9 }],
    ["client_max_window_bits=10", "client_max_window_bits=10", { clientMaxWindowBits: 10 }],
    // The offer's value is a promise: it holds where the server says more, or nothing.
    ["client_max_window_bits=10", "client_max_window_bits=15", { clientMaxWindowBits: 10 }],
    ["client_max_window_bits=10", "", { clientMaxWindowBits: 10 }],
    // All four, quoted, in another order
    [
      "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=12",
      'client_max_window_bits="11"; server_max_window_bits="9"; server_no_context_takeover',
      { ...both, serverMaxWindowBits: 9, clientMaxWindowBits: 11 },
    ],
    // Several offers (RFC 7692 5): the answer has to fit one of them
    [`server_max_window_bits=10; ${ANY}, ${ANY}`, "", {}],
    [
      `server_max_window_bits=10; ${ANY}, ${ANY}`,
      "server_max_window_bits=10; client_max_window_bits=9",
      { serverMaxWindowBits: 10, clientMaxWindowBits: 9 },
    ],
    ["server_no_context_takeover, server_max_window_bits=10", "", undefined],
    ["server_no_context_takeover, server_max_window_bits=10", "server_no_context_takeover", noServer],
    [
      "server_no_context_takeover; server_max_window_bits=9, server_max_window_bits=10",
      "server_no_context_takeover; server_max_window_bits=10",
      { ...noServer, serverMaxWindowBits: 10 },
    ],
    [
      `server_max_window_bits=9, ${ANY}`,
      "server_max_window_bits=9; client_max_window_bits=9",
      {
        serverMaxWindowBits: 9,
        clientMaxWindowBits: 9,
      },
    ],
    // Where it fits several, the server may rely on the promises of any
    [
      `${ANY}, client_max_window_bits=9, client_no_context_takeover`,
      "",
      { ...noClient, clientMaxWindowBits: 9 },
    ],
    [`client_max_window_bits=9, ${ANY}`, "", { clientMaxWindowBits: 9 }],
    [`client_no_context_takeover, ${ANY}`, "", noClient],
    // but not on those of an offer that it cannot have taken
    [`client_max_window_bits=9; server_no_context_takeover, ${ANY}`, "", {}],
    ["client_no_context_takeover; server_max_window_bits=9, client_max_window_bits", "", {}],
  ])("offered %j, answered %j", (offers, answer, agreed) => {
    expect(confirmDeflate(parametersOf(answer), offersOf(offers))).toEqual(agreed && { ...WIDE, ...agreed });
  });

  it("with no offer no answer fits", () => {
    expect(confirmDeflate([], [])).toBeUndefined();
  });
});

describe("what an end uses in each direction (RFC 7692 7.1)", () => {
  it.each([
    [
      { ...neither, serverMaxWindowBits: 9, clientMaxWindowBits: 12 },
      { windowBits: 9, contextTakeover: true },
      { windowBits: 12, contextTakeover: true },
    ],
    [
      { ...neither, ...{ serverNoContextTakeover: true }, serverMaxWindowBits: 15, clientMaxWindowBits: 8 },
      { windowBits: 15, contextTakeover: false },
      { windowBits: 8, contextTakeover: true },
    ],
    [
      { ...neither, ...{ clientNoContextTakeover: true }, serverMaxWindowBits: 10, clientMaxWindowBits: 11 },
      { windowBits: 10, contextTakeover: true },
      { windowBits: 11, contextTakeover: false },
    ],
  ])("%j", (agreed, servers, clients) => {
    expect(deflateDirections("server", agreed)).toEqual({ send: servers, receive: clients });
    expect(deflateDirections("client", agreed)).toEqual({ send: clients, receive: servers });
  });
});

describe("however much is offered, each parameter is looked at once, and the first bad one ends it", () => {
  /** A list that counts how many of its elements were read. */
  function counting(list: readonly ExtensionParameter[]): {
    readonly parameters: readonly ExtensionParameter[];
    readonly read: () => number;
  } {
    let count = 0;
    const parameters = {
      *[Symbol.iterator]() {
        for (const parameter of list) {
          count++;
          yield parameter;
        }
      },
    } as unknown as readonly ExtensionParameter[];
    return { parameters, read: () => count };
  }

  it.each<[name: string, parameter: ExtensionParameter, most: number]>([
    ["unknown ones", ["a", undefined], 1],
    ["the same one", ["client_max_window_bits", undefined], 2],
    ["one with a long value", ["server_max_window_bits", "1".repeat(30_000)], 1],
  ])("%s", (_name, parameter, most) => {
    const { parameters, read } = counting(new Array<ExtensionParameter>(16_384).fill(parameter));
    expect(acceptDeflate(parameters, WIDE)).toBeUndefined();
    expect(read()).toBe(most);
  });
});
