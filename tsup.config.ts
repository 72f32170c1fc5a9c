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
  // For this alone: a number that is declared before its use in a chunk is written where it is used. A bundle's constants are variables, which
  // engines read anew each time, and ask what they are.
  minify: "terser",
  terserOptions: {
    module: true,
    compress: { defaults: false, reduce_vars: true, evaluate: true, toplevel: true, keep_infinity: true },
    mangle: false,
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- nothing takes its place, and what is published is to be read, too
    format: { beautify: true, indent_level: 2, comments: "all", preserve_annotations: true },
  },
});
