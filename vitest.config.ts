import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    coverage: {
      provider: "v8",
      reporter: ["text"],
      thresholds: { branches: 100 },
      include: ["src/**"],
      exclude: ["src/adapters/**", "src/testing/**", "src/whatwg/**"],
    },
  },
});
