// How the tables of cases on an open connection become cases.

import type { Role } from "../closing.js";
import type { ConformanceCase, ConformanceExpectation, ConformanceGroup } from "./case.js";
import type { FrameSpec } from "./wire.js";
import { framesTo, TEXT } from "./wire.js";

/** A case of an open connection, in both roles. What it leaves out: nothing is told and sent, and no Close is received. */
export interface OpenRow extends Partial<Omit<ConformanceExpectation, "opened">> {
  readonly section: string;
  readonly name: string;
  readonly frames: (role: Role) => readonly FrameSpec[];
}

const ROLES: readonly Role[] = ["server", "client"];

export function inBothRoles(group: ConformanceGroup, rows: readonly OpenRow[]): ConformanceCase[] {
  return ROLES.flatMap((role) =>
    rows.map(({ name, section, frames, messages = [], sends = [], code = 1006 }) => ({
      group,
      name,
      section,
      role,
      begins: "open" as const,
      receives: framesTo(role, frames(role)),
      expected: { opened: true, messages, sends, code },
    })),
  );
}

/** A frame that breaks a rule: what came before it counts, nothing behind it does, and the connection fails (RFC 6455 7.1.7). */
export function faulty(
  section: string,
  name: string,
  code: 1002 | 1007,
  frames: (role: Role) => readonly FrameSpec[],
): OpenRow {
  return {
    section,
    name,
    frames: (role) => [
      { opcode: TEXT, payload: "before" },
      ...frames(role),
      { opcode: TEXT, payload: "behind" },
    ],
    messages: ["before"],
    sends: [{ type: "close", code }],
  };
}
