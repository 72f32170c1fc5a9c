// What RFC 1951 fixes about the alphabets of a compressed block, as data for both directions.

/** The literal/length symbol that ends a block (RFC 1951 3.2.5). Below it are literals, above it lengths. */
export const END_OF_BLOCK = 256;

/** A match is this long at least, and at most (RFC 1951 3.2.5). */
export const SHORTEST_MATCH = 3;
export const LONGEST_MATCH = 258;

/** How many symbols there are that may be used: 286 and 287 of literals and lengths, 30 and 31 of distances never are. */
export const LITERALS = 286;
export const DISTANCES = 30;

/** The longest code of a literal, length or distance, in bits (RFC 1951 3.2.7). */
export const LONGEST_CODE = 15;

/** How many bits follow a length symbol, by symbol less 257 (RFC 1951 3.2.5). */
export const LENGTH_EXTRA: Uint8Array = /* @__PURE__ */ Uint8Array.from({ length: 29 }, (_, index) =>
  index < 8 || index === 28 ? 0 : (index >> 2) - 1,
);
/** The length where these bits are 0. The last symbol is 258 and no more, which the one before it could say, too. */
export const LENGTH_BASE: Uint16Array = /* @__PURE__ */ Uint16Array.from({ length: 29 }, (_, index) =>
  index < 8
    ? SHORTEST_MATCH + index
    : index < 28
      ? SHORTEST_MATCH + ((4 + (index & 3)) << ((index >> 2) - 1))
      : LONGEST_MATCH,
);

/** How many bits follow a distance symbol (RFC 1951 3.2.5). */
export const DISTANCE_EXTRA: Uint8Array = /* @__PURE__ */ Uint8Array.from(
  { length: DISTANCES },
  (_, symbol) => (symbol < 4 ? 0 : (symbol >> 1) - 1),
);
/** The distance where these bits are 0. */
export const DISTANCE_BASE: Uint16Array = /* @__PURE__ */ Uint16Array.from(
  { length: DISTANCES },
  (_, symbol) => (symbol < 4 ? 1 + symbol : 1 + ((2 + (symbol & 1)) << ((symbol >> 1) - 1))),
);

/** The lengths of the codes of a block with fixed codes: of 288 literals and lengths, then of 32 distances (RFC 1951 3.2.6). */
export const FIXED_LITERALS = 288;
export const FIXED_LENGTHS: Uint8Array = /* @__PURE__ */ Uint8Array.from({ length: 320 }, (_, symbol) =>
  symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : symbol < FIXED_LITERALS ? 8 : 5,
);

/** In which order the lengths of the code for code lengths come (RFC 1951 3.2.7). */
export const LENGTHS_ORDER: readonly number[] = [
  16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
