import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect as connectSocket } from "node:net";
import type { Duplex } from "node:stream";

import { afterAll, afterEach, describe, expect, test } from "vitest";

import type { Message, Peer } from "../../src/adapters/node.js";
import { connect, HandshakeError, serve, upgradeEndpoint } from "../../src/adapters/node.js";
import { headerValue } from "../../src/handshake/headers.js";
import type { HandshakeRequest } from "../../src/handshake/request.js";
import { bytes, closePayload, frame } from "../support/wire.js";
import type { Feature, Implementation, Payload, Remote, Sight } from "./implementation.js";
import { ANSWERED, CHOSEN, REFUSAL, THEIR_LIMIT } from "./implementation.js";

// The table of exchanges: what two implementations have to agree on, over sockets, with each in either role.

/** The most bytes that a message may have here, where a row limits it. */
const OUR_LIMIT = 1000;

const ASKED = "may we?";

interface Setup {
  readonly subprotocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether a message over `OUR_LIMIT` is too long for us, or one over `THEIR_LIMIT` for them. */
  readonly limited?: "us" | "them";
}

/** An open connection, seen from both ends. */
interface Pair {
  readonly ours: Peer;
  readonly theirs: Remote;
  /** What they saw of the opening handshake. */
  readonly opening: Sight["open"];
  readonly ourRole: "server" | "client";
  /** The next message that we get. */
  readonly next: () => Promise<Message>;
  /** Writes to our socket, past our connection. */
  readonly write: (bytes: Uint8Array) => void;
}

interface Row {
  readonly rule: string;
  readonly needs?: readonly Feature[];
  readonly setup?: Setup;
  readonly run: (pair: Pair) => Promise<void>;
}

/** Bytes of every value, in an order that shows a lost or doubled one. */
function pattern(size: number): Uint8Array {
  const made = new Uint8Array(size);
  for (let i = 0; i < size; i++) made[i] = i * 31 + (i >> 8);
  return made;
}

const PAYLOADS: readonly (readonly [name: string, payload: Payload])[] = [
  ["a text in ASCII", "What hath God wrought?"],
  ["a text in Chinese", "千里之行，始於足下。"],
  ["a text of emoji", "🦭👩‍🚀🏳️‍🌈"],
  ["a text that starts with U+FEFF", "\uFEFFfirst"],
  ["an empty text", ""],
  ["a text of 70000 bytes, of which none is alone", "學而時習之".repeat(4667)],
  ...[0, 1, 125, 126, 65535, 65536, 1024 * 1024].map(
    (size) => [`a binary message of ${size} bytes`, pattern(size)] as const,
  ),
];

/** Compares payloads; long ones without spelling them out. */
function expectSame(actual: Payload | undefined, expected: Payload): void {
  if (typeof expected === "string" || actual === undefined || typeof actual === "string") {
    expect(actual).toBe(expected);
  } else {
    expect(actual.length).toBe(expected.length);
    expect(Buffer.compare(actual, expected)).toBe(0);
  }
}

/** A frame as it is sent by `from`: with a mask or without, as RFC 6455 5.1 says. */
const framed = (from: "server" | "client", opcode: number, payload: string | Uint8Array = ""): Uint8Array =>
  frame({ opcode, payload, masked: from === "client" });

const other = (role: "server" | "client"): "server" | "client" => (role === "server" ? "client" : "server");

/** What breaks a rule, and the close code that answers it (RFC 6455 7.4.1). */
const FAULTS: readonly (readonly [
  name: string,
  code: number,
  frame: (from: "server" | "client") => Uint8Array,
])[] = [
  ["a reserved opcode (RFC 6455 5.2)", 1002, (from) => framed(from, 0x3)],
  ["a continuation of nothing (RFC 6455 5.4)", 1002, (from) => framed(from, 0x0, "x")],
  ["a text that is not UTF-8 (RFC 6455 8.1)", 1007, (from) => framed(from, 0x1, bytes(0x61, 0xff))],
];

const ROWS: readonly Row[] = [
  ...PAYLOADS.flatMap(([name, payload]): Row[] => [
    {
      rule: `they send ${name}`,
      run: async ({ theirs, next }) => {
        theirs.do({ do: "send", payload });
        const message = await next();
        expect(message.type).toBe(typeof payload === "string" ? "text" : "binary");
        expectSame(message.data, payload);
      },
    },
    {
      rule: `we send ${name}`,
      needs: typeof payload === "string" && payload.startsWith("\uFEFF") ? ["keep U+FEFF"] : [],
      run: async ({ ours, theirs }) => {
        ours.send(payload);
        expectSame((await theirs.sight("message")).payload, payload);
      },
    },
  ]),
  {
    rule: "messages keep their order, both ways at once",
    run: async ({ ours, theirs, next }) => {
      const texts = Array.from({ length: 100 }, (_, i) => `message ${i}`);
      for (const payload of texts) {
        ours.send(payload);
        theirs.do({ do: "send", payload });
      }
      const here: Payload[] = [];
      const there: Payload[] = [];
      while (here.length < texts.length) {
        here.push((await next()).data);
        there.push((await theirs.sight("message")).payload);
      }
      expect(here).toEqual(texts);
      expect(there).toEqual(texts);
    },
  },
  {
    rule: "they send a text in fragments (RFC 6455 5.4)",
    needs: ["send fragments"],
    run: async ({ theirs, next }) => {
      theirs.do({ do: "fragment", payload: "one 一, ", final: false });
      theirs.do({ do: "fragment", payload: "", final: false });
      theirs.do({ do: "fragment", payload: "two 🦭", final: true });
      expectSame((await next()).data, "one 一, two 🦭");
    },
  },
  {
    rule: "they send a binary message in fragments (RFC 6455 5.4)",
    needs: ["send fragments"],
    run: async ({ theirs, next }) => {
      theirs.do({ do: "fragment", payload: pattern(70_000), final: false });
      theirs.do({ do: "fragment", payload: pattern(126), final: true });
      expectSame((await next()).data, bytes(pattern(70_000), pattern(126)));
    },
  },
  {
    rule: "they ping between two fragments: the pong and the message come whole (RFC 6455 5.4)",
    needs: ["send fragments", "send pings", "see pongs"],
    run: async ({ theirs, next }) => {
      theirs.do({ do: "fragment", payload: "be", final: false });
      theirs.do({ do: "ping", payload: bytes("amid") });
      expectSame((await theirs.sight("pong")).payload, bytes("amid")); // before the message is over
      theirs.do({ do: "fragment", payload: "fore", final: true });
      expectSame((await next()).data, "before");
    },
  },
  {
    rule: "we send a text in fragments (RFC 6455 5.4)",
    run: async ({ ours, theirs }) => {
      const writer = ours.startMessage("text");
      writer.write("one 一, ");
      writer.write("");
      writer.write("half a seal: \ud83e");
      writer.write("\uddad");
      writer.end("!");
      expectSame((await theirs.sight("message")).payload, "one 一, half a seal: 🦭!");
    },
  },
  {
    rule: "we send a binary message in fragments (RFC 6455 5.4)",
    run: async ({ ours, theirs }) => {
      const writer = ours.startMessage("binary");
      writer.write(pattern(70_000));
      writer.write(pattern(126));
      writer.end();
      expectSame((await theirs.sight("message")).payload, bytes(pattern(70_000), pattern(126)));
    },
  },
  {
    rule: "we ping between two fragments: the pong and the message come whole (RFC 6455 5.4)",
    run: async ({ ours, theirs }) => {
      const writer = ours.startMessage("text");
      writer.write("be");
      expect(await ours.ping()).toBeTypeOf("number");
      writer.end("fore");
      expectSame((await theirs.sight("message")).payload, "before");
    },
  },
  ...[bytes(), bytes("are you there?"), pattern(125)].map((payload): Row => ({
    rule: `they ping with ${payload.length} bytes: the pong has the same (RFC 6455 5.5.3)`,
    needs: ["send pings", "see pongs"],
    run: async ({ theirs }) => {
      theirs.do({ do: "ping", payload });
      expectSame((await theirs.sight("pong")).payload, payload);
    },
  })),
  {
    rule: "we ping: they answer, each ping by itself (RFC 6455 5.5.2)",
    run: async ({ ours }) => {
      expect(await ours.ping()).toBeTypeOf("number"); // which the payload's return brings, and nothing else
      expect(await ours.ping()).toBeTypeOf("number");
    },
  },
  {
    rule: "we ping: they see its payload",
    needs: ["see pings"],
    run: async ({ ours, theirs }) => {
      void ours.ping();
      expectSame((await theirs.sight("ping")).payload, bytes(0, 0, 0, 1)); // the adapter counts its pings
    },
  },
  {
    rule: "they pick one of our subprotocols, or we of theirs (RFC 6455 4.2.2)",
    setup: { subprotocols: ["chat.v1", CHOSEN] },
    run: async ({ ours, opening }) => {
      expect(ours.subprotocol).toBe(CHOSEN);
      expect(opening.subprotocol).toBe(CHOSEN);
    },
  },
  {
    rule: "no subprotocol is offered, none is used",
    run: async ({ ours, opening }) => {
      expect(ours.subprotocol).toBeUndefined();
      expect(opening.subprotocol).toBeUndefined();
    },
  },
  ...[
    [1000, "done"],
    [4001, "再見 🦭"],
    [3000, ""],
  ].flatMap(([code, reason]): Row[] => {
    const close = { code: Number(code), reason: String(reason) };
    return [
      {
        rule: `they close with ${code} "${reason}" (RFC 6455 7.1.2)`,
        run: async ({ ours, theirs }) => {
          theirs.do({ do: "close", ...close });
          const closed = await ours.closed;
          expect(closed).toMatchObject({
            ...close,
            clean: true,
            sent: { code },
            cause: { by: "peer", rule: "closed" },
          });
          expect((await theirs.sight("closed")).code).toBe(code);
        },
      },
      {
        rule: `we close with ${code} "${reason}" (RFC 6455 7.1.2)`,
        run: async ({ ours, theirs }) => {
          ours.close(close.code, close.reason);
          expect(await theirs.sight("closed")).toEqual(close);
          const closed = await ours.closed;
          expect(closed).toMatchObject({
            code,
            clean: true,
            sent: close,
            cause: { by: "local", rule: "closed" },
          });
        },
      },
    ];
  }),
  {
    rule: "we send, then close: all of it arrives before the Close (RFC 6455 5.5.1)",
    run: async ({ ours, theirs }) => {
      ours.send(pattern(1024 * 1024));
      ours.send("and goodbye");
      ours.close(1000, "");
      expectSame((await theirs.sight("message")).payload, pattern(1024 * 1024));
      expectSame((await theirs.sight("message")).payload, "and goodbye");
      expect(await ours.closed).toMatchObject({ code: 1000, clean: true });
    },
  },
  {
    rule: "they send, then close: all of it arrives before the Close (RFC 6455 5.5.1)",
    run: async ({ ours, theirs, next }) => {
      theirs.do({ do: "send", payload: pattern(1024 * 1024) });
      theirs.do({ do: "send", payload: "and goodbye" });
      theirs.do({ do: "close", code: 1000, reason: "" });
      expectSame((await next()).data, pattern(1024 * 1024));
      expectSame((await next()).data, "and goodbye");
      expect(await ours.closed).toMatchObject({ code: 1000, clean: true });
    },
  },
  {
    rule: "they drop the transport: 1006 here (RFC 6455 7.1.5)",
    needs: ["drop"],
    run: async ({ ours, theirs }) => {
      theirs.do({ do: "drop" });
      expect(await ours.closed).toMatchObject({ code: 1006, reason: "", clean: false, sent: undefined });
    },
  },
  {
    rule: "we drop the transport: 1006 there (RFC 6455 7.1.5)",
    run: async ({ ours, theirs }) => {
      ours.terminate();
      expect((await theirs.sight("closed")).code).toBe(1006);
      expect(await ours.closed).toMatchObject({ code: 1006, clean: false });
    },
  },
  {
    rule: "they send a message that is too long for us: 1009 there (RFC 6455 7.4.1)",
    setup: { limited: "us" },
    run: async ({ ours, theirs }) => {
      theirs.do({ do: "send", payload: pattern(OUR_LIMIT + 1) });
      expect((await theirs.sight("closed")).code).toBe(1009);
      expect(await ours.closed).toMatchObject({ sent: { code: 1009 }, cause: { rule: "message-limit" } });
    },
  },
  {
    rule: "they send fragments that add up to more than our limit: 1009 there (RFC 6455 7.4.1)",
    needs: ["send fragments"],
    setup: { limited: "us" },
    run: async ({ ours, theirs }) => {
      theirs.do({ do: "fragment", payload: pattern(OUR_LIMIT), final: false });
      theirs.do({ do: "fragment", payload: pattern(1), final: false });
      expect((await theirs.sight("closed")).code).toBe(1009);
      expect(await ours.closed).toMatchObject({ sent: { code: 1009 }, cause: { rule: "message-limit" } });
    },
  },
  {
    rule: "we send a message of their limit, then a longer one: 1009 here (RFC 6455 7.4.1)",
    needs: ["limit messages"],
    setup: { limited: "them" },
    run: async ({ ours, theirs }) => {
      ours.send(pattern(THEIR_LIMIT));
      expectSame((await theirs.sight("message")).payload, pattern(THEIR_LIMIT));
      ours.send(pattern(THEIR_LIMIT + 1));
      expect(await ours.closed).toMatchObject({ code: 1009, cause: { by: "peer", rule: "closed" } });
    },
  },
  ...FAULTS.flatMap(([name, code, fault]): Row[] => [
    {
      rule: `they send ${name}: ${code} there`,
      needs: ["write raw bytes"],
      run: async ({ ours, theirs, ourRole }) => {
        theirs.do({ do: "write", bytes: fault(other(ourRole)) });
        expect((await theirs.sight("closed")).code).toBe(code);
        expect(await ours.closed).toMatchObject({ sent: { code }, cause: { by: "peer" } });
      },
    },
    {
      rule: `we send ${name}: ${code} here`,
      needs: ["tell our faults"],
      run: async ({ ours, write, ourRole }) => {
        write(fault(ourRole));
        expect(await ours.closed).toMatchObject({ code, sent: { code } });
      },
    },
  ]),
  {
    rule: "we send an empty Close: it is answered, and 1005 is what both report (RFC 6455 7.1.5)",
    run: async ({ ours, theirs, write, ourRole }) => {
      write(framed(ourRole, 0x8));
      expect(await ours.closed).toMatchObject({ sent: { code: expect.any(Number) as number }, clean: true });
      expect((await theirs.sight("closed")).code).toBe(1005);
    },
  },
  {
    rule: "they send a Close with the code 1005, which may not be sent: 1002 there (RFC 6455 7.4.1)",
    needs: ["write raw bytes"],
    run: async ({ ours, theirs, ourRole }) => {
      theirs.do({ do: "write", bytes: framed(other(ourRole), 0x8, closePayload(1005)) });
      expect((await theirs.sight("closed")).code).toBe(1002);
      expect(await ours.closed).toMatchObject({ sent: { code: 1002 }, cause: { rule: "close-code" } });
    },
  },
];

/** Declares the tests of one implementation: the table, once with our server and once with our client. */
export function exchangesWith(implementation: Implementation): void {
  const { name, lacks = [], connect: theirClient, listen: theirServer } = implementation;
  const rows = ROWS.filter(({ needs = [] }) => !needs.some((need) => lacks.includes(need)));
  const cleanUp: (() => Promise<unknown> | undefined)[] = [];

  afterEach(async () => {
    for (const each of cleanUp.splice(0).reverse()) await each();
  });

  afterAll(async () => {
    await implementation.stop();
  });

  async function ourServer(limited: boolean): Promise<{
    readonly url: string;
    readonly opened: Promise<Peer>;
    readonly socket: () => Duplex;
  }> {
    let open: (peer: Peer) => void = () => undefined;
    const opened = new Promise<Peer>((resolve) => {
      open = resolve;
    });
    const sockets: Duplex[] = [];
    const endpoint = upgradeEndpoint({
      open,
      limits: limited ? { message: OUR_LIMIT } : {},
      upgrade: ({ subprotocols }) => ({
        subprotocol: subprotocols.find((each) => each === CHOSEN),
        headers: { "X-Answered": ANSWERED },
      }),
    });
    const server = createServer();
    server.on("upgrade", (request, socket, head) => {
      sockets.push(socket);
      endpoint.handleUpgrade(request, socket, head);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanUp.push(async () => {
      for (const peer of endpoint.peers) peer.terminate();
      server.close();
      server.closeAllConnections();
    });
    return {
      url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      opened,
      socket: () => {
        const [socket] = sockets;
        if (socket === undefined) throw new Error("nobody asked for an upgrade");
        return socket;
      },
    };
  }

  async function paired(
    connected: Promise<Peer>,
    theirs: Remote,
    ourRole: "server" | "client",
    socket: () => Duplex,
  ): Promise<Pair> {
    const opening = await theirs.sight("open"); // first: it is they who may be unable to begin
    const ours = await connected;
    const messages = ours[Symbol.asyncIterator]();
    return {
      ours,
      theirs,
      opening,
      ourRole,
      next: async () => {
        const result = await messages.next();
        if (result.done === true) throw new Error("the connection is over, a message was awaited");
        return result.value;
      },
      write: (raw) => socket().write(raw),
    };
  }

  if (theirClient !== undefined) {
    const pair = async (setup: Setup): Promise<Pair> => {
      const { url, opened, socket } = await ourServer(setup.limited === "us");
      const theirs = await theirClient({ url, ...setup, limited: setup.limited === "them" });
      cleanUp.push(async () => theirs.do({ do: "drop" }));
      return paired(opened, theirs, "server", socket);
    };

    describe(`our server, the client of ${name}`, () => {
      for (const { rule, setup = {}, run } of rows) {
        test(rule, async () => {
          await run(await pair(setup));
        });
      }

      if (!lacks.includes("send headers")) {
        test("their request's header is seen here", async () => {
          const { ours } = await pair({ headers: { "X-Asked": ASKED } });
          expect(headerValue(ours.request?.headers ?? [], "x-asked")).toBe(ASKED);
        });
      }

      if (!lacks.includes("see response headers")) {
        test("our response's header is seen there", async () => {
          expect((await pair({})).opening.header).toBe(ANSWERED);
        });
      }

      for (const status of [401, 403]) {
        test(`we reject with ${status} and a body (RFC 6455 4.2.2)`, async () => {
          const asked: HandshakeRequest[] = [];
          const server = await serve({
            port: 0,
            host: "127.0.0.1",
            upgrade: (request) => {
              asked.push(request);
              return { status, headers: { "X-Answered": ANSWERED }, body: REFUSAL };
            },
          });
          cleanUp.push(() => server.close({ timeout: 1 }));
          const theirs = await theirClient({ url: server.url });
          if (lacks.includes("see rejections")) await theirs.sight("refused");
          else expect(await theirs.sight("rejected")).toEqual({ status, body: REFUSAL });
          expect(asked).not.toHaveLength(0); // some ask again, with credentials
        });
      }

      test("our server goes away: 1001 there (RFC 6455 7.4.1)", async () => {
        const server = await serve({ port: 0, host: "127.0.0.1" });
        const theirs = await theirClient({ url: server.url });
        await theirs.sight("open");
        await server.close({ reason: "good night", timeout: 20_000 });
        expect(await theirs.sight("closed")).toEqual({ code: 1001, reason: "good night" });
      });
    });
  }

  if (theirServer !== undefined) {
    const pair = async (setup: Setup): Promise<Pair> => {
      const { url, remote } = await theirServer(setup.limited === "them" ? "/limit" : "/accept");
      const sockets: Duplex[] = [];
      const ours = await connect(url, {
        subprotocols: setup.subprotocols,
        headers: setup.headers,
        limits: setup.limited === "us" ? { message: OUR_LIMIT } : {},
        createConnection: ({ host, port }) => {
          const socket = connectSocket({ host, port, allowHalfOpen: true });
          sockets.push(socket);
          return socket;
        },
      });
      cleanUp.push(async () => ours.terminate());
      return paired(Promise.resolve(ours), remote, "client", () => sockets[0] as Duplex);
    };

    describe(`our client, the server of ${name}`, () => {
      for (const { rule, setup = {}, run } of rows) {
        test(rule, async () => {
          await run(await pair(setup));
        });
      }

      test("our request's header is seen there", async () => {
        const { opening } = await pair({ headers: { "X-Asked": ASKED } });
        expect(opening.header).toBe(ASKED);
      });

      test("their response's header is seen here", async () => {
        const { ours } = await pair({});
        expect(headerValue(ours.headers, "x-answered")).toBe(ANSWERED);
      });

      for (const status of [401, 403] as const) {
        test(`they reject with ${status} and a body (RFC 6455 4.1)`, async () => {
          const { url } = await theirServer(`/reject/${status}`);
          const error: unknown = await connect(url).then(
            () => undefined,
            (reason: unknown) => reason,
          );
          expect(error).toBeInstanceOf(HandshakeError);
          const { cause, response } = error as HandshakeError;
          expect(cause).toMatchObject({ by: "peer", rule: "rejected" });
          expect(response).toMatchObject({ status, complete: true });
          expect(Buffer.from(response?.body ?? []).toString()).toBe(REFUSAL);
        });
      }
    });
  }
}
