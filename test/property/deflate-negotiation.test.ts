import fc from "fast-check";
import { describe, expect } from "vitest";

import type { DeflateParameters } from "../../src/deflate/negotiation.js";
import {
  acceptDeflate,
  confirmDeflate,
  deflateDirections,
  offerDeflate,
  wantedDeflate,
} from "../../src/deflate/negotiation.js";
import type { ExtensionParameter } from "../../src/handshake/extensions.js";
import { formatExtensions, parseExtensions } from "../../src/handshake/extensions.js";
import { holds } from "../support/property.js";

const anyBits = fc.option(fc.integer({ min: 8, max: 15 }), { nil: undefined });
const anyFlag = fc.option(fc.boolean(), { nil: undefined });
const anyOptions = fc.record({
  serverNoContextTakeover: anyFlag,
  clientNoContextTakeover: anyFlag,
  serverMaxWindowBits: anyBits,
  clientMaxWindowBits: anyBits,
});
const anyClient = anyOptions.map((options) => wantedDeflate("client", options));
const anyServer = anyOptions.map((options) => wantedDeflate("server", options));

const NAMES = [
  "server_no_context_takeover",
  "client_no_context_takeover",
  "server_max_window_bits",
  "client_max_window_bits",
] as const;

/** Lists that are often well-formed, and often nearly. */
const anyParameters: fc.Arbitrary<readonly ExtensionParameter[]> = fc.oneof(
  fc
    .subarray([...NAMES])
    .chain((names) =>
      fc.tuple(
        ...names.map((name): fc.Arbitrary<ExtensionParameter> =>
          name.endsWith("takeover")
            ? fc.constant([name, undefined])
            : fc
                .option(fc.integer({ min: 8, max: 15 }).map(String), { nil: undefined, freq: 4 })
                .map((value) => [name, value]),
        ),
      ),
    ),
  fc.array(
    fc.tuple(
      fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...NAMES) }, fc.string()),
      fc.oneof(fc.constant(undefined), fc.integer({ min: 0, max: 20 }).map(String), fc.string()),
    ),
    { maxLength: 6 },
  ),
);

/** What goes over the wire, there and back. */
function overTheWire(parameters: readonly ExtensionParameter[]): readonly ExtensionParameter[] {
  const read = parseExtensions(formatExtensions([{ name: "x", parameters }]));
  expect(read).toHaveLength(1);
  return read?.[0]?.parameters ?? [];
}

/** No message of one end can need more of the other end's decompressor than this keeps. */
function expectInflatable(ofServer: DeflateParameters, ofClient: DeflateParameters): void {
  const server = deflateDirections("server", ofServer);
  const client = deflateDirections("client", ofClient);
  for (const [sends, receives] of [
    [server.send, client.receive],
    [client.send, server.receive],
  ] as const) {
    expect(sends.windowBits).toBeLessThanOrEqual(receives.windowBits);
    if (sends.contextTakeover) expect(receives.contextTakeover).toBe(true);
  }
}

/** That `narrow` asks no more of any end than `wide` does. */
function expectWithin(narrow: DeflateParameters, wide: DeflateParameters): void {
  expect(narrow.serverMaxWindowBits).toBeLessThanOrEqual(wide.serverMaxWindowBits);
  expect(narrow.clientMaxWindowBits).toBeLessThanOrEqual(wide.clientMaxWindowBits);
  if (wide.serverNoContextTakeover) expect(narrow.serverNoContextTakeover).toBe(true);
  if (wide.clientNoContextTakeover) expect(narrow.clientNoContextTakeover).toBe(true);
}

describe("permessage-deflate between any client and any server of ours", () => {
  holds(
    "every offer is accepted, and both know the same, which is what both wanted",
    2000,
    fc.property(anyClient, anyServer, (wantedByClient, wantedByServer) => {
      const offers = offerDeflate(wantedByClient);
      const accepted = acceptDeflate(overTheWire(offers[0] ?? []), wantedByServer);
      if (accepted === undefined) throw new Error("it was declined");
      const confirmed = confirmDeflate(overTheWire(accepted.answer), offers);
      if (confirmed === undefined) throw new Error("it was not confirmed");
      // The server's window may be smaller than it told a client that did not ask.
      const told = wantedByClient.serverMaxWindowBits < 15;
      expect(confirmed).toEqual({ ...accepted.agreed, ...(told ? {} : { serverMaxWindowBits: 15 }) });
      expectWithin(confirmed, wantedByClient);
      expectWithin(accepted.agreed, wantedByServer);
      expectInflatable(accepted.agreed, confirmed);
    }),
  );

  holds(
    "of several offers too, whichever the server takes",
    2000,
    fc.property(
      fc.array(anyClient, { minLength: 1, maxLength: 4 }),
      anyServer,
      fc.nat(),
      (all, wanted, n) => {
        const offers = offerDeflate(...all);
        const accepted = acceptDeflate(offers[n % offers.length] ?? [], wanted);
        if (accepted === undefined) throw new Error("it was declined");
        const confirmed = confirmDeflate(accepted.answer, offers);
        if (confirmed === undefined) throw new Error("it was not confirmed");
        expectInflatable(accepted.agreed, confirmed);
      },
    ),
  );
});

describe("permessage-deflate with any peer", () => {
  holds(
    "any list is accepted or declined; what is accepted fits the offer and never widens what was wanted",
    5000,
    fc.property(anyParameters, anyServer, (offer, wanted) => {
      const accepted = acceptDeflate(offer, wanted);
      if (accepted === undefined) return;
      const confirmed = confirmDeflate(accepted.answer, [offer]);
      if (confirmed === undefined) throw new Error("the client that offered it has to fail");
      expectInflatable(accepted.agreed, confirmed);
      // What the client did not offer cannot be bounded (RFC 7692 7.1.2.2).
      const bounded = offer.some(([name]) => name === "client_max_window_bits");
      expectWithin(accepted.agreed, bounded ? wanted : { ...wanted, clientMaxWindowBits: 15 });
    }),
  );

  holds(
    "any list is confirmed or not; what is confirmed never widens what was wanted",
    5000,
    fc.property(anyParameters, fc.array(anyClient, { maxLength: 3 }), (answer, all) => {
      const confirmed = confirmDeflate(answer, offerDeflate(...all));
      const [wanted] = all;
      if (confirmed === undefined || wanted === undefined || all.length > 1) return;
      expectWithin(confirmed, wanted);
    }),
  );

  holds(
    "the order of parameters means nothing",
    2000,
    fc.property(
      anyParameters.chain((list) =>
        fc.tuple(fc.constant(list), fc.shuffledSubarray([...list], { minLength: list.length })),
      ),
      anyServer,
      anyParameters,
      ([one, other], wanted, offer) => {
        expect(acceptDeflate(other, wanted)).toEqual(acceptDeflate(one, wanted));
        expect(confirmDeflate(other, [offer])).toEqual(confirmDeflate(one, [offer]));
        expect(confirmDeflate(offer, [other])).toEqual(confirmDeflate(offer, [one]));
      },
    ),
  );
});
