import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect as connectSocket, Socket } from "node:net";

import { afterEach, describe, expect, test } from "vitest";

import type { DeflateOptions, Message, Peer } from "../../src/adapters/node.js";
import { connect, permessageDeflate, PreparedMessage, upgradeEndpoint } from "../../src/adapters/node.js";
import type { ExtensionParameter } from "../../src/index.js";
import type { Deflate, Implementation, Payload, Remote } from "./implementation.js";

// permessage-deflate (RFC 7692) with another implementation: every set of parameters that it supports, in both roles. That messages
// arrive tells that they were understood; how few bytes the socket carried, that they were compressed.

export interface DeflateSupport {
  /** The window bits that it can use for what it compresses itself, and for what we do. */
  readonly bits: { readonly theirs: readonly number[]; readonly ours: readonly number[] };
  /** Whether it can take a ping between the fragments of a compressed message. Default true. */
  readonly pingsInside?: boolean;
}

type Role = "server" | "client";

const BOOLEANS = [false, true] as const;

/** An open connection, seen from both ends. */
interface Pair {
  readonly ours: Peer;
  readonly theirs: Remote;
  readonly next: () => Promise<Message>;
  readonly socket: Socket;
}

/** Text that compression makes much of, with code points of all lengths. */
function records(count: number): string {
  return JSON.stringify(
    Array.from({ length: count }, (_, id) => ({ id, name: `record ${(id * 7919) % 1000}`, tags: "aé中😀" })),
  );
}

/** Bytes that compression makes nothing of. */
function noise(size: number): Uint8Array {
  let word = 1;
  return Uint8Array.from({ length: size }, () => {
    word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
    return word >>> 24;
  });
}

const SMALL = records(3);
const LARGE = records(2000);
const NOISE = noise(70_000);
const MESSAGES: readonly Payload[] = [
  "",
  "",
  SMALL,
  SMALL,
  "a",
  LARGE,
  NOISE,
  new Uint8Array(0),
  new TextEncoder().encode(SMALL),
  new Uint8Array(300_000),
  SMALL,
];
const PARTS = [SMALL, "", "中", LARGE.slice(0, 5000)] as const;

function expectSame(actual: Payload, expected: Payload): void {
  expect(typeof actual).toBe(typeof expected);
  expect(Buffer.from(actual).equals(Buffer.from(expected))).toBe(true);
}

/** All kinds of messages in both directions, and the end. */
async function exchange({ ours, theirs, next, socket }: Pair, pingsInside: boolean): Promise<void> {
  const prepared = new PreparedMessage(LARGE);
  let writing = socket.bytesWritten;
  for (const payload of MESSAGES) ours.send(payload);
  const writer = ours.startMessage("text", { compress: true });
  for (const part of PARTS) {
    writer.write(part);
    if (pingsInside) expect(await ours.ping()).toBeTypeOf("number");
  }
  writer.end("end");
  ours.startMessage("text").end(SMALL); // not compressed
  ours.send(SMALL, { compress: false });
  ours.send(prepared);
  ours.send(SMALL);
  ours.send(prepared);
  const expected = [...MESSAGES, `${PARTS.join("")}end`, SMALL, SMALL, LARGE, SMALL, LARGE];
  for (const payload of expected) expectSame((await theirs.sight("message")).payload, payload);
  writing = socket.bytesWritten - writing;

  let reading = socket.bytesRead;
  for (const payload of MESSAGES) theirs.do({ do: "send", payload });
  for (const [index, payload] of PARTS.entries()) {
    theirs.do({ do: "fragment", payload, final: false });
    theirs.do({ do: "ping", payload: Uint8Array.of(index) });
  }
  theirs.do({ do: "fragment", payload: "end", final: true });
  theirs.do({ do: "send", payload: SMALL });
  for (const payload of [...MESSAGES, `${PARTS.join("")}end`, SMALL])
    expectSame((await next()).data, payload);
  reading = socket.bytesRead - reading;

  // Sent as they are, the messages alone would have been more than half a megabyte.
  expect(writing).toBeGreaterThan(NOISE.length);
  expect(writing).toBeLessThan(NOISE.length + 130_000);
  expect(reading).toBeGreaterThan(NOISE.length);
  expect(reading).toBeLessThan(NOISE.length + 130_000);
  ours.close(1000, "done");
  expect(await theirs.sight("closed")).toEqual({ code: 1000, reason: "done" });
  expect(await ours.closed).toMatchObject({ code: 1000, clean: true });
}

/** The bits that hold, of what was agreed. */
function agreedBits(parameters: readonly ExtensionParameter[], name: string): number {
  return Number(parameters.find(([key]) => key === name)?.[1] ?? 15);
}

/** Declares the tests of one implementation. */
export function deflatesWith(
  { name, connect: theirClient, listen }: Implementation,
  support: DeflateSupport,
): void {
  const cleanUp: (() => void)[] = [];
  const { bits, pingsInside = true } = support;

  afterEach(() => {
    for (const each of cleanUp.splice(0).reverse()) each();
  });

  async function asServer(deflate: DeflateOptions, theirs: Deflate): Promise<Pair> {
    if (theirClient === undefined) throw new Error("there is no client");
    const sockets: Socket[] = [];
    let open: (peer: Peer) => void = () => undefined;
    const opened = new Promise<Peer>((resolve) => {
      open = resolve;
    });
    const endpoint = upgradeEndpoint({ open, extensions: [permessageDeflate(deflate)] });
    const server = createServer();
    server.on("upgrade", (request, socket, head) => {
      if (socket instanceof Socket) sockets.push(socket);
      endpoint.handleUpgrade(request, socket, head);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanUp.push(() => {
      for (const peer of endpoint.peers) peer.terminate();
      server.close();
      server.closeAllConnections();
    });
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const remote = await theirClient({ url, deflate: theirs });
    await remote.sight("open");
    return pair(await opened, remote, sockets);
  }

  async function asClient(deflate: DeflateOptions, theirs: Deflate): Promise<Pair> {
    if (listen === undefined) throw new Error("there is no server");
    const sockets: Socket[] = [];
    const { url, remote } = await listen("/accept", theirs);
    const ours = await connect(url, {
      extensions: [permessageDeflate(deflate)],
      createConnection: ({ host, port }) => {
        const socket = connectSocket({ host, port, allowHalfOpen: true });
        sockets.push(socket);
        return socket;
      },
    });
    cleanUp.push(() => {
      ours.terminate();
    });
    await remote.sight("open");
    return pair(ours, remote, sockets);
  }

  function pair(ours: Peer, theirs: Remote, [socket]: readonly Socket[]): Pair {
    if (socket === undefined) throw new Error("there is no socket");
    const messages = ours[Symbol.asyncIterator]();
    const next = async (): Promise<Message> => {
      const result = await messages.next();
      if (result.done === true) {
        const { cause } = await ours.closed;
        throw new Error(`the connection is over, a message was awaited: ${cause.message}`);
      }
      return result.value;
    };
    return { ours, theirs, next, socket };
  }

  const roles: readonly (readonly [ourRole: Role, open: typeof asServer])[] = [
    ...(theirClient === undefined ? [] : [["server", asServer] as const]),
    ...(listen === undefined ? [] : [["client", asClient] as const]),
  ];

  describe.each(roles)(`permessage-deflate, our %s with ${name}`, (ourRole, open) => {
    const serverBits = [undefined, ...(ourRole === "server" ? bits.ours : bits.theirs)];
    const clientBits = [undefined, ...(ourRole === "server" ? bits.theirs : bits.ours)];
    const sets = BOOLEANS.flatMap((server) =>
      BOOLEANS.flatMap((client) =>
        serverBits.flatMap((serverMaxWindowBits) =>
          clientBits.map((clientMaxWindowBits): Deflate => ({
            ...(server ? { serverNoContextTakeover: true } : {}),
            ...(client ? { clientNoContextTakeover: true } : {}),
            ...(serverMaxWindowBits === undefined ? {} : { serverMaxWindowBits }),
            ...(clientMaxWindowBits === undefined ? {} : { clientMaxWindowBits }),
          })),
        ),
      ),
    );
    const wide = { serverNoContextTakeover: false, clientNoContextTakeover: false };

    test.each(sets.map((set) => [JSON.stringify(set), set] as const))("they want %s", async (_, theirs) => {
      // What a client does not offer a server cannot ask for: ours offers what theirs may take up.
      const own = ourRole === "client" ? { ...theirs, ...wide } : wide;
      const met = await open({ ...own, threshold: 0 }, theirs);
      const [agreed, ...more] = met.ours.extensions;
      expect([agreed?.name, more]).toEqual(["permessage-deflate", []]);
      const parameters = agreed?.parameters ?? [];
      const names = parameters.map(([key]) => key);
      if (theirs.serverNoContextTakeover === true) expect(names).toContain("server_no_context_takeover");
      if (theirs.clientNoContextTakeover === true) expect(names).toContain("client_no_context_takeover");
      expect(agreedBits(parameters, "server_max_window_bits")).toBeLessThanOrEqual(
        theirs.serverMaxWindowBits ?? 15,
      );
      await exchange(met, pingsInside);
    });

    test.each(sets.map((set) => [JSON.stringify(set), set] as const))("we want %s", async (_, deflate) => {
      const met = await open({ ...wide, ...deflate, threshold: 0 }, {});
      const parameters = met.ours.extensions[0]?.parameters ?? [];
      const names = parameters.map(([key]) => key);
      expect(met.ours.extensions.map((each) => each.name)).toEqual(["permessage-deflate"]);
      if (deflate.serverNoContextTakeover === true) expect(names).toContain("server_no_context_takeover");
      if (ourRole === "server" && deflate.clientNoContextTakeover === true) {
        expect(names).toContain("client_no_context_takeover");
      }
      if (ourRole === "server") {
        expect(agreedBits(parameters, "client_max_window_bits")).toBe(deflate.clientMaxWindowBits ?? 15);
      } else {
        expect(agreedBits(parameters, "server_max_window_bits")).toBeLessThanOrEqual(
          deflate.serverMaxWindowBits ?? 15,
        );
      }
      await exchange(met, pingsInside);
    });

    test("with the options that there are by default, both ends'", async () => {
      const met = await open({ threshold: 0 }, {});
      expect(met.ours.extensions.map((each) => each.name)).toEqual(["permessage-deflate"]);
      await exchange(met, pingsInside);
    });
  });
}
