import { describe, expect, it } from "vitest";
import type { ConformanceCase, ConformanceReport, StartConformance } from "../../src/conformance/index.js";
import { CONFORMANCE_CASES, runConformance, startCore } from "../../src/conformance/index.js";
import { bytes } from "../support/wire.js";

const label = ({ group, role, name }: ConformanceCase): string => `${group}, ${role}: ${name}`;

describe("the cases", () => {
  it.each(CONFORMANCE_CASES.map((test) => ({ name: label(test), test })))("$name", async ({ test }) => {
    const results = await runConformance([test], startCore);
    expect(results.map(({ feeding }) => feeding)).toEqual(["whole", "byte by byte"]);
    expect(results.flatMap(({ differences }) => differences)).toEqual([]);
  });

  it("have names of their own, and say what asks for them", () => {
    expect(new Set(CONFORMANCE_CASES.map(label)).size).toBe(CONFORMANCE_CASES.length);
    for (const { section } of CONFORMANCE_CASES) expect(section).toMatch(/^RFC \d{4} \d+(\.\d+)*$/);
  });
});

/** A subject that does all as the core does, but for what `spoil` changes of its report or its request. */
function spoilt(
  spoil: (report: ConformanceReport) => Partial<ConformanceReport>,
  request?: (text: string) => string,
): StartConformance {
  return async (test) => {
    const subject = await startCore(test);
    return {
      request:
        subject.request === undefined || request === undefined
          ? subject.request
          : bytes(request(Buffer.from(subject.request).toString("latin1"))),
      receive: (data) => subject.receive(data),
      async finish() {
        const report = await subject.finish();
        return { ...report, ...spoil(report) };
      },
    };
  };
}

const find = (role: string, name: string): ConformanceCase => {
  const found = CONFORMANCE_CASES.find((test) => test.role === role && test.name === name);
  if (found === undefined) throw new Error(`there is no case "${name}"`);
  return found;
};
const append =
  (...parts: readonly number[]) =>
  ({ sent }: ConformanceReport): Partial<ConformanceReport> => ({
    sent: bytes(sent, parts),
  });
const inHead =
  (from: string | RegExp, to: string) =>
  ({ sent }: ConformanceReport): Partial<ConformanceReport> => ({
    sent: bytes(
      Uint8Array.from(Buffer.from(Buffer.from(sent).toString("latin1").replace(from, to), "latin1")),
    ),
  });

describe("an implementation that errs is caught", () => {
  it.each<[string, string, string, (report: ConformanceReport) => Partial<ConformanceReport>, string]>([
    ["never open", "server", "a text", () => ({ opened: false }), "opened: false in place of true"],
    [
      "a message lost",
      "client",
      "a text",
      () => ({ messages: [] }),
      'messages: [] in place of ["text Hello"]',
    ],
    [
      "bytes for a text",
      "server",
      "a text",
      () => ({ messages: [bytes("Hello")] }),
      'messages: ["binary 48656c6c6f"] in place of ["text Hello"]',
    ],
    ["another code", "server", "an empty Close", () => ({ code: 1006 }), "close code: 1006 in place of 1005"],
    ["no pong", "server", "an empty ping", () => ({ sent: bytes() }), 'sent: [] in place of ["pong "]'],
    ["a pong too much", "server", "a text", append(0x8a, 0), 'sent: ["pong "] in place of []'],
    ["an own message", "server", "a text", append(0x82, 0), 'sent: ["opcode 2"] in place of []'],
    [
      "a masked server",
      "server",
      "a text",
      append(0x81, 0x80, 1, 2, 3, 4),
      "sent: a frame that may not be sent so",
    ],
    [
      "a client that does not mask",
      "client",
      "a text",
      append(0x81, 0),
      "sent: a frame that may not be sent so",
    ],
    ["a reserved bit", "server", "a text", append(0xc1, 0), "sent: a frame that may not be sent so"],
    ["a frame that is cut", "server", "a text", append(0x81), "sent: the stream ends inside a frame"],
    [
      "a long length",
      "server",
      "a text",
      append(0x81, 126, 0, 1, 97),
      "sent: a length is not in its shortest form",
    ],
    [
      "a longer length",
      "server",
      "a text",
      append(0x81, 127, 0, 0, 0, 0, 0, 0, 0, 1, 97),
      "sent: a length is not in its shortest form",
    ],
    ["a status of 200", "server", "the RFC's sample", inHead("101", "200"), "status: 200 in place of 101"],
    [
      "another accept",
      "server",
      "the RFC's sample",
      inHead("s3pP", "S3pP"),
      'Sec-WebSocket-Accept: "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in place of "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="',
    ],
    [
      "no Upgrade",
      "server",
      "the RFC's sample",
      inHead("Upgrade: w", "X: w"),
      'Upgrade: undefined in place of "websocket"',
    ],
    ["a refusal of 200", "server", "no key", inHead("400", "200"), "status: 200 in place of one from 400 on"],
    ["no refusal", "server", "no key", () => ({ sent: bytes() }), "status: NaN in place of one from 400 on"],
  ])("%s", async (_, role, name, spoil, difference) => {
    for (const { differences } of await runConformance([find(role, name)], spoilt(spoil))) {
      expect(differences).toContain(difference);
    }
  });

  it.each<[string, (text: string) => string, string]>([
    ["no GET", (text) => text.replace("GET", "PUT"), "request: no head of a GET request"],
    ["no end", (text) => text.slice(0, -2), "request: no head of a GET request"],
    ["no Host", (text) => text.replace("Host", "Hose"), "request: no Host"],
    ["no Upgrade", (text) => text.replace("websocket\r", "h2c\r"), "request: Upgrade is not websocket"],
    ["no Connection", (text) => text.replace("Connection", "X"), "request: Connection lists no Upgrade"],
    ["version 8", (text) => text.replace(": 13", ": 8"), "request: the version is not 13"],
    ["no key", (text) => text.replace("-Key", "-Kex"), "request: the key is not 16 bytes in base64"],
    ["no request", () => "", "request: no head of a GET request"],
  ])("a client's request: %s", async (_, request, difference) => {
    const results = await runConformance(
      [find("client", "the RFC's sample")],
      spoilt(() => ({}), request),
    );
    for (const { differences } of results) expect(differences).toContain(difference);
  });

  it("what it throws ends the run", async () => {
    const broken: StartConformance = () => {
      throw new Error("broken");
    };
    await expect(runConformance(CONFORMANCE_CASES, broken)).rejects.toThrow("broken");
  });
});
