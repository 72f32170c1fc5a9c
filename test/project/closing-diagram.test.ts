import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { closingPage, phaseNames, transitions } from "../../scripts/closing-diagram.js";
import { PHASES, phaseAfter } from "../../src/closing.js";

const PAGE = fileURLToPath(new URL("../../docs/closing.md", import.meta.url));

describe("docs/closing.md is drawn from src/closing.ts", () => {
  it("and is up to date; if it is not: npm run docs", async () => {
    await expect(await closingPage()).toMatchFileSnapshot(PAGE);
  });

  it.each(transitions)("the code follows the table: $from, $signal, $role", ({ from, signal, to, role }) => {
    for (const side of role === undefined ? (["server", "client"] as const) : [role]) {
      expect(phaseAfter(PHASES[from], signal, side)).toBe(PHASES[to]);
    }
  });
});

describe("the tables make sense", () => {
  const rank = { connecting: 0, open: 1, closing: 2, closed: 3 };
  const level = { keep: 0, end: 1 };

  it.each(transitions)("nothing goes back: $from, $signal, $role", ({ from, to }) => {
    expect(rank[PHASES[to].state]).toBeGreaterThanOrEqual(rank[PHASES[from].state]);
    expect(level[PHASES[to].transport]).toBeGreaterThanOrEqual(level[PHASES[from].transport]);
  });

  it.each(["server", "client"] as const)("no phase is passed twice: %s", (side) => {
    const follow = (name: string, path: readonly string[]): void => {
      expect(path).not.toContain(name);
      for (const { from, to, role } of transitions) {
        if (from === name && (role ?? side) === side) follow(to, [...path, name]);
      }
    };
    follow("head", []);
  });

  it("every phase can be reached from the first", () => {
    const reached = new Set<string>(["head"]);
    for (const name of reached) for (const { from, to } of transitions) if (from === name) reached.add(to);
    expect([...reached].sort()).toEqual([...phaseNames].sort());
  });

  it.each(phaseNames.filter((name) => name !== "closed"))("the loss of the transport ends it: %s", (name) => {
    expect(phaseAfter(PHASES[name], "destroyed", "server")).toBe(PHASES.closed);
    expect(phaseAfter(PHASES[name], "destroyed", "client")).toBe(PHASES.closed);
  });

  it("only what the application takes its time for, and an open connection, has no timer", () => {
    const untimed = phaseNames.filter((name) => PHASES[name].timer === undefined);
    expect(untimed).toEqual(["deciding", "open", "closed"]);
  });

  it("closed is the end", () => {
    expect(transitions.filter(({ from }) => from === "closed")).toEqual([]);
  });
});
