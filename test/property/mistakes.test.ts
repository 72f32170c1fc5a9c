import fc from "fast-check";
import { describe, expect } from "vitest";

import type { Connection } from "../../src/index.js";
import { ClientConnection, ServerConnection, UsageError } from "../../src/index.js";
import { anyPlan, History } from "../support/history.js";
import { holds } from "../support/property.js";
import { snapshot } from "../support/snapshot.js";

// DESIGN "A caller's mistake throws at once, says what to do, and leaves the state as it was".

/** What is no argument of anything, or not of everything. */
const NONSENSE: readonly unknown[] = [
  null,
  "",
  "text",
  "a\r\nb: c",
  "\0",
  "x".repeat(124),
  0,
  -1,
  999,
  1000.5,
  1005,
  1006,
  1015,
  2999,
  5000,
  NaN,
  Infinity,
  true,
  [],
  [1, 2],
  {},
  { length: 3 },
  { status: 200 },
  { status: 600 },
  { status: 404, headers: { "X-A": "a\r\nb" } },
  { status: 404, headers: { connection: "x" } },
  { status: 404, headers: [["a b", "c"]] },
  { status: 404, body: 5 },
  { subprotocol: "not offered" },
  { subprotocol: "a\r\n" },
  { headers: { upgrade: "x" } },
  { headers: [["Sec-WebSocket-Accept", "x"]] },
  { headers: { "x-a": "\u4e2d" } },
  new Uint8Array(126),
  new Uint8Array([0xff]),
  new Uint8Array([0xc3]),
  new ArrayBuffer(4),
  new Uint16Array(4),
  new DataView(new ArrayBuffer(4)),
  Symbol("s"),
  10n,
  () => 5,
  new Date(0),
  "binary",
];

const COMMANDS = [
  "receive",
  "sendText",
  "sendBinary",
  "startMessage",
  "ping",
  "pong",
  "close",
  "closeWithReason",
  "accept",
  "reject",
  "receiveRequest",
  "receiveResponse",
  "write",
  "end",
] as const;
type Command = (typeof COMMANDS)[number];

/** Calls `command` with `argument`, whatever its type. */
function call(history: History, command: Command, argument: unknown): void {
  const { connection, writer } = history;
  const of = (target: object): void => {
    const method: unknown = Reflect.get(target, command);
    if (typeof method === "function") Reflect.apply(method, target, [argument]);
  };
  if (command === "closeWithReason")
    Reflect.apply(connection.close.bind(connection), connection, [1000, argument]);
  else if (command === "write" || command === "end") {
    if (writer !== undefined) of(writer);
  } else of(connection);
}

const anyMistake = fc.record({
  command: fc.constantFrom(...COMMANDS),
  argument: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...NONSENSE) },
    { weight: 1, arbitrary: fc.anything() },
  ),
});

describe("a call that throws", () => {
  holds(
    "changes nothing, at any point of any history, whatever the arguments",
    600,
    fc.property(anyPlan, fc.array(anyMistake, { minLength: 1, maxLength: 40 }), (plan, mistakes) => {
      const history = new History(plan);
      const step = (index: number): void => {
        const next = plan.steps[index];
        if (next !== undefined) history.do(next);
      };
      mistakes.forEach(({ command, argument }, index) => {
        step(index);
        const before = snapshot([history.connection, history.writer]);
        const { deadline } = history.connection;
        try {
          call(history, command, argument);
        } catch {
          expect(snapshot([history.connection, history.writer]), command).toBe(before);
          expect(history.connection.deadline).toBe(deadline);
        }
      });
    }),
  );

  holds(
    "throws a UsageError that says what to do, where the argument is of the wrong kind or out of range",
    400,
    fc.property(
      fc.constantFrom<Command>(
        "receive",
        "sendText",
        "sendBinary",
        "startMessage",
        "ping",
        "pong",
        "close",
        "closeWithReason",
      ),
      fc.constantFrom(
        ...NONSENSE.filter((value) => typeof value !== "string" && !(value instanceof Uint8Array)),
      ),
      fc.constantFrom<"client" | "server">("client", "server"),
      (command, argument, side) => {
        const plan = { side, open: true, options: {}, seed: 1, stream: new Uint8Array(0), steps: [] };
        const history = new History(plan);
        let thrown: unknown;
        try {
          call(history, command, argument);
        } catch (error) {
          thrown = error;
        }
        expect(thrown).toBeInstanceOf(UsageError);
        if (thrown instanceof UsageError) expect(thrown.message.length).toBeGreaterThan(15);
        expect(history.connection.outputSize).toBe(0);
      },
    ),
  );

  holds(
    "what an application passes in cannot inject a line: it throws, or what is sent has no line more",
    400,
    fc.property(
      fc.string({
        unit: fc.constantFrom("a", ":", " ", "\r", "\n", "\0", "\u00e9", "\u4e2d", "/", "?", "#", "@", ","),
      }),
      fc.constantFrom("value", "name", "url", "subprotocol", "origin", "accept"),
      (text, place) => {
        const options = { platform: { random: () => 5 } };
        const url = "ws://h/";
        const make: Record<typeof place, () => Connection> = {
          value: () => new ClientConnection({ url, headers: { "X-A": text } }, options),
          name: () => new ClientConnection({ url, headers: [[text, "a"]] }, options),
          url: () => new ClientConnection({ url: `${url}${text}` }, options),
          subprotocol: () => new ClientConnection({ url, subprotocols: [text] }, options),
          origin: () => new ClientConnection({ url, origin: text }, options),
          accept: () => {
            const server = new ServerConnection(options);
            const client = new ClientConnection(url, options);
            for (const chunk of client.takeOutput() ?? []) server.receive(chunk);
            server.nextEvent();
            server.accept({ headers: { "X-A": text } });
            return server;
          },
        };
        let connection: Connection;
        try {
          connection = make[place]();
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          return;
        }
        const lines = Buffer.concat(connection.takeOutput() ?? [])
          .toString("latin1")
          .split(/\r\n|\r|\n|\0/);
        const usual = place === "accept" ? 7 : place === "url" ? 8 : 9;
        expect(lines).toHaveLength(usual);
      },
    ),
  );
});
