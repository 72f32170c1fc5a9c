import { defineConfig } from "tsup";

export default defineConfig({
  entry: [
    "src/index.ts",
    "src/adapters/node.ts",
    "src/adapters/deno.ts",
    "src/adapters/bun.ts",
    "src/adapters/http2.ts",
    "src/adapters/streams.ts",
    "src/whatwg/index.ts",
    "src/testing/index.ts",
    "src/conformance/index.ts",
  ],
  format: "esm",
  target: "es2022",
  platform: "neutral",
  external: [/^node:/],
  // tsup takes "node:" off by default; Deno and bundlers want it.
  removeNodeProtocol: false,
  dts: { compilerOptions: { stripInternal: true } },
  clean: true,
  treeshake: true,
});
