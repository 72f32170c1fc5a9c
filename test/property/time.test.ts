import fc from "fast-check";
import { describe, expect } from "vitest";

import { anyPlan, History } from "../support/history.js";
import { holds } from "../support/property.js";
import { snapshot } from "../support/snapshot.js";

describe("deadlines", () => {
  holds(
    "handleTimeout() at or after the deadline leaves it gone or later, at any point of any history",
    500,
    fc.property(anyPlan, fc.array(fc.nat(30_000), { minLength: 1 }), (plan, lateness) => {
      const history = new History(plan);
      const { connection, clock } = history;
      let called = 0;
      for (const step of plan.steps) {
        history.do(step);
        const { deadline } = connection;
        if (deadline === undefined || deadline > clock.now()) {
          if (called % 3 !== 2) continue;
          clock.advanceTo(Math.max(clock.now(), deadline ?? 0) + (lateness[called % lateness.length] ?? 0));
        }
        called++;
        const due = connection.deadline;
        connection.handleTimeout();
        const after = connection.deadline;
        if (due !== undefined && after !== undefined) {
          expect(after).toBeGreaterThan(due);
          expect(after).toBeGreaterThan(clock.now());
        }
      }
    }),
  );

  holds(
    "a deadline is a finite number, and none without a clock's need for it",
    300,
    fc.property(anyPlan, (plan) => {
      const history = new History(plan);
      for (const step of plan.steps) {
        history.do(step);
        const { deadline, state } = history.connection;
        if (deadline !== undefined) expect(Number.isFinite(deadline)).toBe(true);
        if (state === "closed" || history.connection.transport === "destroy")
          expect(deadline).toBeUndefined();
      }
    }),
  );

  holds(
    "handleTimeout() before the deadline, or twice at it, changes nothing",
    300,
    fc.property(anyPlan, fc.boolean(), (plan, atIt) => {
      const history = new History(plan);
      const { connection, clock } = history;
      for (const step of plan.steps) {
        history.do(step);
        if (atIt && connection.deadline !== undefined) {
          clock.advanceTo(Math.max(clock.now(), connection.deadline));
          connection.handleTimeout();
        }
        if (connection.deadline !== undefined && connection.deadline <= clock.now()) continue;
        const before = snapshot(connection);
        const { deadline } = connection;
        connection.handleTimeout();
        expect(snapshot(connection)).toBe(before);
        // It may move later, never earlier.
        expect(connection.deadline ?? Infinity).toBeGreaterThanOrEqual(deadline ?? Infinity);
      }
    }),
  );
});
