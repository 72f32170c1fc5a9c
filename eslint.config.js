import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

const names = (list) => Object.fromEntries(list.split(" ").map((name) => [name, "readonly"]));

// Everything that the strict and the stylistic set ask for, but where a reason stands beside the exception.
export default defineConfig(
  globalIgnores(["coverage/", "dist/", "test-results/"]),
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  js.configs.recommended,
  {
    rules: {
      eqeqeq: "error",
      "no-restricted-syntax": [
        "error",
        { selector: "TSEnumDeclaration", message: "Unions of literals say the same and are erased." },
      ],
    },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-exports": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        // A `default` is an answer for all the rest; a switch without one has to name every case.
        { considerDefaultExhaustiveForUnions: true },
      ],
      // It asks for `!`, which no-non-null-assertion forbids: `bytes[i] as number` says what is known there.
      "@typescript-eslint/non-nullable-type-assertion-style": "off",
      // A number in a message is read as it is written.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // `() => connection.close()` hands on what it does not use.
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // `{ [P in PhaseName]: ... }` names its key, Record does not.
      "@typescript-eslint/consistent-indexed-object-style": "off",
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
    },
  },
  {
    files: ["src/**/*.ts"],
    rules: {
      "@typescript-eslint/explicit-module-boundary-types": "error",
      // Declarations are made file by file (isolatedDeclarations), so that a field's annotation has to be whole.
      "@typescript-eslint/consistent-generic-constructors": "off",
      "@typescript-eslint/no-inferrable-types": "off",
      // Not every caller has a compiler: arguments are checked at run time for what their types rule out.
      "@typescript-eslint/no-unnecessary-condition": "off",
      "@typescript-eslint/no-unnecessary-type-conversion": "off",
    },
  },
  {
    files: ["src/adapters/**/*.ts"],
    rules: {
      // A handler may be an async function, or return nothing: `void | Promise<void>` is how that is said.
      "@typescript-eslint/no-invalid-void-type": "off",
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      // What a peer or a stream calls has to be async by its type, and may have nothing to wait for or to do.
      "@typescript-eslint/no-empty-function": "off",
      "@typescript-eslint/require-await": "off",
    },
  },
  {
    // Plain JavaScript is checked as far as types reach without annotations: a parameter is `any`.
    files: ["**/*.js"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
      globals: names(
        "AbortController AbortSignal Buffer URL URLSearchParams clearInterval clearTimeout console fetch performance " +
          "process queueMicrotask setInterval setTimeout structuredClone TextDecoder TextEncoder",
      ),
    },
    rules: {
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
    },
  },
  {
    files: ["bench/**/*.js"],
    languageOptions: { globals: names("Bun Deno Response setImmediate") },
    // Peers are modules: their functions have no `this`.
    rules: { "@typescript-eslint/unbound-method": "off" },
  },
  {
    files: ["test/browser/*.js"],
    languageOptions: { globals: names("AbortSignal Blob DOMException EventTarget MessageEvent") },
    rules: { "@typescript-eslint/restrict-template-expressions": "off" },
  },
);
