import fc from "fast-check";
import { describe, expect } from "vitest";

import type { Connection } from "../../src/index.js";
import { ServerConnection } from "../../src/index.js";
import { anyPlan, History } from "../support/history.js";
import { holds } from "../support/property.js";
import { snapshot } from "../support/snapshot.js";

// DESIGN "Never throws on input": whatever arrives, in the end exactly one `closed`, and then nothing.

type Ending = "end" | "loss" | "deadlines" | "giving up";

/** Brings a history to its end as an embedder would: the connection has no choice but to close. */
function finish(history: History, ending: Ending): void {
  const { connection, clock } = history;
  history.look();
  if (connection instanceof ServerConnection && history.events.at(-1)?.type === "request") {
    connection.reject({ status: 403 });
  }
  if (ending === "loss") connection.transportLost();
  else if (ending === "end") connection.receiveEnd();
  else if (ending === "giving up") history.do({ do: "close", code: undefined, reason: "" });
  for (let turn = 0; turn < 20 && !history.closed; turn++) {
    history.look();
    history.take();
    history.look();
    if (ending === "loss" || connection.deadline === undefined) continue;
    clock.advanceTo(Math.max(clock.now(), connection.deadline));
    connection.handleTimeout();
  }
}

function expectInert({ connection, clock, events }: History): void {
  expect(events.filter(({ type }) => type === "closed")).toHaveLength(1);
  expect(events.at(-1)?.type).toBe("closed");
  expect(events.filter(({ type }) => type === "closing").length).toBeLessThanOrEqual(1);
  expect(connection.state).toBe("closed");
  expect(connection.transport).not.toBe("keep");
  const before = snapshot(connection);
  clock.advanceBy(100_000);
  connection.receive(new Uint8Array([0x81, 0x01, 0x41]));
  connection.receiveEnd();
  connection.transportLost(new Error("late"));
  connection.handleTimeout();
  expect(connection.sendText("late")).toBe(false);
  expect(connection.sendBinary(new Uint8Array(5000))).toBe(false);
  expect(connection.startMessage("text").end("late")).toBe(false);
  expect(connection.ping()).toBe(false);
  expect(connection.pong()).toBe(false);
  expect(connection.close(1000)).toBe(false);
  if (connection instanceof ServerConnection) {
    expect(connection.accept()).toBe(false);
    expect(connection.reject({ status: 404 })).toBe(false);
  }
  expect(connection.takeOutput()).toBeUndefined();
  expect(connection.nextEvent()).toBeUndefined();
  expect([connection.deadline, connection.wantsInput, connection.outputSize]).toEqual([undefined, false, 0]);
  // The stream's end is a mark that may come twice.
  expect(snapshot(connection).replace('["ended",false]', '["ended",true]')).toBe(
    before.replace('["ended",false]', '["ended",true]'),
  );
}

describe("whatever happens, it ends in exactly one `closed`, the last event, and the connection is inert", () => {
  holds(
    "arbitrary bytes to a connection of every kind, then each ending",
    400,
    fc.property(
      anyPlan,
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom<Ending>("end", "loss", "deadlines"),
      (plan, stream, ending) => {
        const options = { ...plan.options, timeouts: { ping: 3000, pong: 2000 } };
        const history = new History({ ...plan, options, stream });
        for (let at = 0; at < stream.length; at += 7) {
          history.do({ do: "receive", count: 7, owned: false });
          history.look(at % 3);
        }
        finish(history, ending);
        expectInert(history);
      },
    ),
  );

  holds(
    "random histories, then the stream's end, the transport's loss, or all deadlines",
    600,
    fc.property(anyPlan, fc.constantFrom<Ending>("end", "loss", "deadlines"), (plan, ending) => {
      const options = { ...plan.options, timeouts: { ping: 3000, pong: 2000 } };
      const history = new History({ ...plan, options });
      for (const step of plan.steps) history.do(step);
      finish(history, ending);
      expectInert(history);
    }),
  );

  holds(
    "random histories, then close() and a peer that is silent for ever",
    200,
    fc.property(anyPlan, (plan) => {
      const history = new History(plan);
      for (const step of plan.steps) history.do(step);
      finish(history, "giving up");
      expectInert(history);
    }),
  );

  holds(
    "the order of events: open at most once, before every message; `closing` after the last message of a failed connection",
    300,
    fc.property(anyPlan, (plan) => {
      const history = new History(plan);
      for (const step of plan.steps) history.do(step);
      finish(history, "end");
      const types = history.events.map(({ type }) => type);
      const open = types.indexOf("open");
      expect(types.lastIndexOf("open")).toBe(open);
      const messages = ["text", "binary", "ping", "pong"];
      const first = types.findIndex((type) => messages.includes(type));
      const last = types.findLastIndex((type) => messages.includes(type));
      if (first >= 0) expect(first).toBeGreaterThan(open);
      if (first >= 0) expect(open).toBeGreaterThanOrEqual(0);
      const closing = types.indexOf("closing");
      if (closing >= 0) expect(last).toBeLessThan(closing);
    }),
  );
});

describe("the state goes only forwards", () => {
  const STATES = ["connecting", "open", "closing", "closed"] as const;
  const LEVELS = ["keep", "end", "destroy"] as const;
  const seen = (connection: Connection): [number, number] => [
    STATES.indexOf(connection.state),
    LEVELS.indexOf(connection.transport),
  ];

  holds(
    "`state` and `transport` never go back, and what they say fits",
    300,
    fc.property(anyPlan, (plan) => {
      const history = new History(plan);
      const { connection } = history;
      let [state, level] = seen(connection);
      for (const step of plan.steps) {
        history.do(step);
        const [nextState, nextLevel] = seen(connection);
        expect(nextState).toBeGreaterThanOrEqual(state);
        expect(nextLevel).toBeGreaterThanOrEqual(level);
        [state, level] = [nextState, nextLevel];
        expect(connection.outputSize).toBeGreaterThanOrEqual(0);
        if (connection.transport === "destroy") expect(connection.outputSize).toBe(0);
        if (connection.transport === "destroy") expect(connection.wantsInput).toBe(false);
        if (plan.options.halfClose !== true) expect(connection.transport).not.toBe("end");
      }
    }),
  );
});
