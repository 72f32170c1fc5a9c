import { describe, expect, it } from "vitest";

import type { Accepted, DeflateOptions, Extension, ExtensionParameter } from "../../../src/index.js";
import {
  ClientConnection,
  permessageDeflate,
  portableDeflate,
  ServerConnection,
  UsageError,
} from "../../../src/index.js";
import { CODECS, CountingCodec, NO_TAKEOVER, TAKEOVER } from "../../support/deflated.js";
import { fromPeer, repeatable } from "../../support/opened.js";
import { bytes, fromHex, toHex } from "../../support/wire.js";

const platform = { random: repeatable() };

describe("options (UsageError)", () => {
  it.each<DeflateOptions>([
    { threshold: -1 },
    { threshold: NaN },
    { threshold: "128" as never },
    { largest: -1 },
    { largest: null as never },
    { level: 0 },
    { level: 10 },
    { level: 5.5 },
    { level: "9" as never },
    { serverMaxWindowBits: 7 },
    { clientMaxWindowBits: 16 },
    { serverNoContextTakeover: 1 as never },
  ])("%j", (options) => {
    expect(() => permessageDeflate(options)).toThrow(UsageError);
    expect(() => permessageDeflate(options)).toThrow(expect.objectContaining({ code: "bad-option" }));
  });

  it("what is left out, or is undefined, has its default", () => {
    const named = { threshold: undefined, largest: undefined, level: undefined };
    expect(permessageDeflate(named)).toEqual(permessageDeflate());
  });
});

/** What a server answers to `field`, and whether RSV1 may be set then. */
function answered(field: string, ...extensions: readonly Extension[]): { answer: string; rsv1: boolean } {
  const server = new ServerConnection({ http: "external", platform, extensions });
  server.receiveRequest({
    method: "CONNECT",
    protocol: "websocket",
    scheme: "https",
    authority: "host",
    target: "/",
    headers: [
      ["sec-websocket-version", "13"],
      ["sec-websocket-extensions", field],
    ],
  });
  expect(server.nextEvent()?.type).toBe("request");
  server.accept();
  expect(server.nextEvent()?.type).toBe("open");
  const [, answer = ""] =
    server.response?.headers.find(([name]) => name.toLowerCase() === "sec-websocket-extensions") ?? [];
  server.receive(fromPeer("server", { opcode: 1, rsv: 4, payload: fromHex("f248cdc9c90700") }));
  return { answer, rsv1: server.nextEvent()?.type === "text" };
}

describe("a server", () => {
  it.each<[offers: string, answer: string]>([
    ["permessage-deflate", "permessage-deflate"],
    ["permessage-deflate; unknown", ""],
    ["permessage-deflate; server_max_window_bits=7", ""],
    ["permessage-deflate; unknown, permessage-deflate", "permessage-deflate"],
    [
      "permessage-deflate; server_max_window_bits=10, permessage-deflate",
      "permessage-deflate; server_max_window_bits=10",
    ],
    ["__proto__, constructor; toString", ""],
    ["x-other, permessage-deflate", "permessage-deflate"],
  ])("%s: %j", (offers, answer) => {
    expect(answered(offers, permessageDeflate(TAKEOVER))).toEqual({ answer, rsv1: answer !== "" });
  });

  it("takes the first of two extensions for RSV1, by the client's order", () => {
    const both = [new Coded("x-coded"), permessageDeflate(TAKEOVER)];
    expect(answered("permessage-deflate, x-coded", ...both).answer).toBe("permessage-deflate");
    expect(answered("x-coded, permessage-deflate", ...both).answer).toBe("x-coded");
    expect(answered("x-plain, permessage-deflate", new Coded("x-plain", false), ...both)).toEqual({
      answer: "x-plain, permessage-deflate",
      rsv1: true,
    });
  });
});

describe("an extension in several forms, the preferred first", () => {
  const forms = [permessageDeflate({ ...TAKEOVER, serverMaxWindowBits: 10 }), permessageDeflate(TAKEOVER)];

  it.each([
    ["permessage-deflate; server_max_window_bits=10", true],
    ["permessage-deflate; server_max_window_bits=11", true], // of the second, which did not ask
    ["permessage-deflate", true],
    ["permessage-deflate; unknown", false],
  ])("a client takes the answer that fits one of them: %s", (answer, passes) => {
    const client = new ClientConnection("wss://host/", {
      http: "external",
      platform,
      extensions: forms,
    });
    client.receiveResponse({ status: 200, headers: [["sec-websocket-extensions", answer]] });
    expect(client.nextEvent()?.type).toBe(passes ? "open" : "closing");
  });

  it("a server answers with the first that does not decline", () => {
    const picky = new Coded("permessage-deflate");
    picky.accept = () => undefined;
    expect(answered("permessage-deflate", picky, permessageDeflate(TAKEOVER)).rsv1).toBe(true);
  });
});

/** Another extension for RSV1, or for nothing. */
class Coded implements Extension {
  readonly name: string;
  private readonly codes: boolean;

  constructor(name: string, codes = true) {
    this.name = name;
    this.codes = codes;
  }

  offer(): readonly (readonly ExtensionParameter[])[] {
    return [[]];
  }

  accept(parameters: readonly ExtensionParameter[]): Accepted | undefined {
    if (!this.codes) return { parameters };
    return { parameters, coding: permessageDeflate().accept([], {})?.coding };
  }

  confirm(parameters: readonly ExtensionParameter[]): Accepted | undefined {
    return this.accept(parameters);
  }
}

describe("a client", () => {
  it.each<[answer: string, passes: boolean]>([
    ["permessage-deflate", true],
    ["permessage-deflate; client_no_context_takeover", true],
    ["permessage-deflate; unknown", false],
    ["permessage-deflate; client_max_window_bits", false],
    ["permessage-deflate, permessage-deflate", false],
    ["x-plain, permessage-deflate", true],
    ["x-coded", true],
    ["x-coded, permessage-deflate", false], // RFC 6455 9.1: both want RSV1
    ["permessage-deflate, x-coded", false],
    ["__proto__", false],
  ])("%s: %s", (answer, passes) => {
    const extensions = [permessageDeflate(TAKEOVER), new Coded("x-coded"), new Coded("x-plain", false)];
    const client = new ClientConnection("wss://host/", { http: "external", platform, extensions });
    client.receiveResponse({ status: 200, headers: [["sec-websocket-extensions", answer]] });
    const event = client.nextEvent();
    if (passes) expect(event?.type).toBe("open");
    else expect(event).toMatchObject({ type: "closing", cause: { rule: "response-extension" } });
  });
});

describe("connections that agreed on the same share it", () => {
  const offer: readonly ExtensionParameter[] = [["client_max_window_bits", undefined]];
  const extension = permessageDeflate(TAKEOVER);
  const coding = extension.accept(offer, { deflate: portableDeflate })?.coding;

  it.each<[what: string, offer: readonly ExtensionParameter[], same: boolean]>([
    ["the same offer", offer, true],
    ["one that comes to the same", [["server_max_window_bits", "15"]], true],
    ["another window of the server's", [["server_max_window_bits", "14"]], false],
    ["another window of the client's", [["client_max_window_bits", "14"]], false],
    ["no takeover by the server", [["server_no_context_takeover", undefined]], false],
    ["no takeover by the client", [["client_no_context_takeover", undefined]], false],
  ])("%s", (_, other, same) => {
    expect(extension.accept(other, { deflate: portableDeflate })?.coding === coding).toBe(same);
  });

  it("not with another codec, nor with another extension", () => {
    const other = new CountingCodec(portableDeflate);
    expect(extension.accept(offer, { deflate: other })?.coding).not.toBe(coding);
    expect(permessageDeflate(TAKEOVER).accept(offer, { deflate: portableDeflate })?.coding).not.toBe(coding);
    expect(extension.accept(offer, {})?.coding).toBe(coding); // the portable one, where a platform has none
  });
});

describe.each(CODECS)("coders of one coding, with %s", (_, codec) => {
  it.each([
    ["with takeover", TAKEOVER],
    ["without", NO_TAKEOVER],
  ])("%s: idle, forgetting and released ones hold nothing", (__, options) => {
    const counting = new CountingCodec(codec);
    const coding = permessageDeflate(options).accept([], { deflate: counting })?.coding;
    if (coding === undefined) throw new Error("it was declined");
    const [encoder, decoder] = [coding.createEncoder(), coding.createDecoder()];
    const target = new Uint8Array(10);
    expect(decoder.pull(target, 3, 10)).toBe(3);
    expect(decoder.end()).toBe(false);
    encoder.forget();
    encoder.release();
    encoder.release();
    decoder.release();
    decoder.release();
    expect(counting.created).toBe(0);
  });

  it("a part, and its end: what is returned may be overwritten, so it is copied here", () => {
    const coding = permessageDeflate(TAKEOVER).accept([], { deflate: codec })?.coding;
    const encoder = coding?.createEncoder();
    const first = toHex(encoder?.encode(bytes("Hello"), true) ?? bytes());
    encoder?.forget();
    expect(toHex(encoder?.encode(bytes("Hello"), true) ?? bytes())).toBe(first);
    encoder?.release();
    encoder?.release();
  });
});
