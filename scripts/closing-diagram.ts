import { readFileSync } from "node:fs";
import { format, resolveConfig } from "prettier";
import ts from "typescript";
import type { PhaseName, Role, Signal } from "../src/closing.js";
import { PHASES } from "../src/closing.js";

// Draws docs/closing.md from the table in src/closing.ts. `npm run docs` writes it, a test holds the two together.

/** One line of the transitions' table. */
export interface Transition {
  readonly from: PhaseName;
  readonly signal: Signal;
  readonly to: PhaseName;
  /** Whose transition it is; undefined: of both roles. */
  readonly role: Role | undefined;
}

export const phaseNames = Object.keys(PHASES) as readonly PhaseName[];

export const transitions: readonly Transition[] = phaseNames.flatMap((from) =>
  (Object.entries(PHASES[from].on) as [Signal, PhaseName | Readonly<Record<Role, PhaseName>>][]).flatMap(
    ([signal, to]): Transition[] =>
      typeof to === "string"
        ? [{ from, signal, to, role: undefined }]
        : (["server", "client"] as const).map((role) => ({ from, signal, to: to[role], role })),
  ),
);

/** What stands above each signal in its type: the documentation is written once. */
function signalComments(): ReadonlyMap<string, string> {
  const path = new URL("../src/closing.ts", import.meta.url);
  const file = ts.createSourceFile("closing.ts", readFileSync(path, "utf8"), ts.ScriptTarget.ES2022, true);
  const type = file.statements.find(
    (statement) => ts.isTypeAliasDeclaration(statement) && statement.name.text === "Signal",
  );
  if (type === undefined || !ts.isTypeAliasDeclaration(type) || !ts.isUnionTypeNode(type.type)) {
    throw new Error("src/closing.ts has no union called Signal");
  }
  const comments = new Map<string, string>();
  // Each stands before its member's bar, which belongs to no member.
  let from = type.type.getFullStart();
  for (const member of type.type.types) {
    const before = file.text.slice(from, member.end);
    from = member.end;
    const text = /\/\*\*([^]*?)\*\//
      .exec(before)?.[1]
      ?.replaceAll(/\s*\n\s*\*?\s*/g, " ")
      .trim();
    if (text === undefined || text === "") throw new Error(`${member.getText()} has no comment`);
    comments.set(member.getText().slice(1, -1), text);
  }
  return comments;
}

const code = (text: string | undefined): string => (text === undefined ? "–" : `\`${text}\``);
const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(head), row(head.map(() => "---")), ...rows.map(row)].join("\n");
}

/** The arrows; those between the same two phases are drawn as one. */
function diagram(): string {
  const labels = new Map<string, string[]>();
  for (const { from, signal, to, role } of transitions) {
    const arrow = `${from} --> ${to}`;
    const label = role === undefined ? signal : `${signal} (${role})`;
    labels.set(arrow, [...(labels.get(arrow) ?? []), label]);
  }
  const first = phaseNames[0] ?? "";
  const arrows = [...labels].map(([arrow, names]) => `${arrow}: ${names.join(", ")}`);
  return [
    "stateDiagram-v2",
    `[*] --> ${first}`,
    "[*] --> open: built open",
    ...arrows,
    "closed --> [*]",
  ].join("\n  ");
}

/** docs/closing.md as it has to be. */
export async function closingPage(): Promise<string> {
  const phases = phaseNames.map((name) => {
    const { state, input, transport, timer } = PHASES[name];
    return [code(name), code(state), code(input), code(transport), code(timer)];
  });
  const comments = signalComments();
  const steps = transitions.map(({ from, signal, to, role }) => [
    code(from),
    code(signal),
    role ?? "both",
    code(to),
    comments.get(signal) ?? "",
  ]);
  const page = `<!-- Drawn from src/closing.ts by \`npm run docs\`. Change the table there, not this page. -->

# The life of a connection

A connection is in one phase at a time. What happens to it is a signal, and a signal leads to the phase that follows;
one that a phase does not know changes nothing. The code runs on the tables below (\`PHASES\` in
\`src/closing.ts\`), and this page is drawn from them.

The closing handshake (RFC 6455 7) is most of it. Whoever sends a Close first goes on delivering messages until the
peer's Close arrives. Once both are exchanged the server ends the stream first (RFC 6455 7.1.1) and the client waits for
that. Whoever failed the connection or refused the opening handshake ends its write side and goes on reading, so that
the peer gets to see why. The time for each phase is bounded by its timer, and when that runs out the transport is
destroyed.

\`\`\`mermaid
${diagram()}
\`\`\`

## Phases

- _state_: what \`connection.state\` says.
- _input_: what becomes of the bytes that arrive: read as the \`head\` of the opening handshake or as \`frames\`, held,
  discarded, or not wanted at all.
- _transport_: whether the write side is to be ended. Without the option \`halfClose\` it is kept, and destroyed once the
  connection is closed.
- _timer_: which of the options' \`timeouts\` is running.

${table(["phase", "state", "input", "transport", "timer"], phases)}

## Transitions

${table(["from", "signal", "role", "to", "when"], steps)}
`;
  const path = new URL("../docs/closing.md", import.meta.url);
  return format(page, { ...(await resolveConfig(path)), parser: "markdown" });
}
