import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

interface Target {
  readonly types: string;
  readonly default: string;
}

interface Manifest {
  readonly type: string;
  readonly sideEffects: unknown;
  readonly engines: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Target>>;
  readonly [field: string]: unknown;
}

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;

/** The subpaths that are modules, with what stands behind them. */
const entries = Object.entries(manifest.exports)
  .filter((entry): entry is [string, Target] => typeof entry[1] === "object")
  .map(([subpath, target]) => ({
    subpath,
    specifier: `sansocket${subpath.slice(1)}`,
    target,
    source: target.default.replace(/^\.\/dist\//, "src/").replace(/\.js$/, ".ts"),
  }));

/** What an application's own Node sees, away from the tests' loader; the working directory makes it a self-reference. */
function evaluate(source: string): unknown {
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", source], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return JSON.parse(output);
}

describe("the manifest", () => {
  it("says what kind of package it is", () => {
    expect(manifest).toMatchObject({ type: "module", sideEffects: false, engines: { node: ">=20.19" } });
  });

  it.each(["dependencies", "peerDependencies", "optionalDependencies", "bundledDependencies"])(
    "has no %s",
    (field) => {
      expect(manifest).not.toHaveProperty(field);
    },
  );

  it.each(["preinstall", "install", "postinstall", "prepare"])("runs nothing at %s", (script) => {
    expect(manifest["scripts"]).not.toHaveProperty(script);
  });

  it("exports the core, the adapters, the testing tools, the conformance cases and itself", () => {
    expect(Object.keys(manifest.exports)).toEqual([
      ".",
      "./node",
      "./deno",
      "./bun",
      "./http2",
      "./streams",
      "./whatwg",
      "./testing",
      "./conformance",
      "./package.json",
    ]);
  });

  it("the lock file agrees with it", () => {
    const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
      packages: Readonly<Record<string, Manifest>>;
    };
    const { name, version, license, engines, devDependencies } = manifest;
    expect(lock.packages[""]).toEqual({ name, version, license, engines, devDependencies });
  });
});

describe("what is built", () => {
  it.each(entries)("$specifier: its files are there, and its source", ({ target, source }) => {
    expect([target.types, target.default, source].filter((path) => !existsSync(join(ROOT, path)))).toEqual(
      [],
    );
  });

  it.each(entries)(
    "$specifier: imported by its name, it has what its source exports",
    ({ specifier, source }) => {
      const names = evaluate(
        `console.log(JSON.stringify(Object.keys(await import(${JSON.stringify(specifier)}))))`,
      );
      expect(names).toEqual(valuesOf(source));
    },
  );

  it("./package.json can be read by its name", () => {
    const version = evaluate(
      `import { createRequire } from "node:module";
       console.log(JSON.stringify(createRequire(import.meta.url)("sansocket/package.json").version))`,
    );
    expect(version).toBe(manifest["version"]);
  });

  it("all entries share one core: a connection of an adapter's is the core's own", () => {
    const same = evaluate(
      `const core = await import("sansocket"), node = await import("sansocket/node");
       console.log(JSON.stringify(Object.keys(node).filter((name) => name in core && node[name] !== core[name])))`,
    );
    expect(same).toEqual([]);
  });

  it.each([
    ["sansocket", /^$/],
    ["sansocket/streams", /^$/],
    ["sansocket/whatwg", /^$/],
    ["sansocket/testing", /^$/],
    ["sansocket/conformance", /^$/],
    // With its scheme: Deno knows built-in modules by no other name.
    ["sansocket/node", /^node:/],
    ["sansocket/http2", /^node:/],
  ])("%s imports from outside only %s", (specifier, allowed) => {
    const { target } = entries.find((entry) => entry.specifier === specifier) ?? { target: undefined };
    const seen = new Set<string>();
    const outside: string[] = [];
    const follow = (path: string): void => {
      if (seen.has(path)) return;
      seen.add(path);
      const { importedFiles } = ts.preProcessFile(readFileSync(path, "utf8"), true, true);
      for (const { fileName } of importedFiles) {
        if (fileName.startsWith(".")) follow(join(path, "..", fileName));
        else outside.push(fileName);
      }
    };
    follow(join(ROOT, target?.default ?? ""));
    expect(seen.size).toBeGreaterThan(0);
    expect(outside.filter((name) => !allowed.test(name))).toEqual([]);
  });

  it("the core's declarations need neither DOM nor Node types", () => {
    const consumer = join(ROOT, "consumer.ts");
    const source =
      'import { Connection } from "sansocket";\nexport const c = new Connection("server", {});\nc.x;\n';
    const options: ts.CompilerOptions = {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      lib: ["lib.es2022.d.ts"],
      types: [],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    };
    const host = ts.createCompilerHost(options);
    const getSourceFile = host.getSourceFile.bind(host);
    const fileExists = host.fileExists.bind(host);
    host.fileExists = (path) => path === consumer || fileExists(path);
    host.getSourceFile = (path, version, ...rest) =>
      path === consumer
        ? ts.createSourceFile(path, source, version, true)
        : getSourceFile(path, version, ...rest);
    const program = ts.createProgram([consumer], options, host);
    const messages = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
    // The one mistake that stands in it shows that types were found.
    expect(messages).toEqual(["Property 'x' does not exist on type 'Connection'."]);
    expect(program.getSourceFiles().map(({ fileName }) => fileName)).toContain(join(ROOT, "dist/index.d.ts"));
  });
});

describe("what is packed", () => {
  it("is the build, the licence, the change log and the readme", () => {
    const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: ROOT,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      shell: process.platform === "win32",
    });
    const [{ files }] = JSON.parse(output) as [{ files: readonly { path: string }[] }];
    const paths = files.map(({ path }) => path);
    expect(paths.filter((path) => !path.startsWith("dist/")).sort()).toEqual([
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "package.json",
    ]);
    const built = entries.flatMap(({ target }) => [target.default, target.types]);
    expect(paths).toEqual(expect.arrayContaining(built.map((path) => path.slice(2))));
  });
});

describe("every public name is explained by a docstring where it is declared", () => {
  const program = ts.createProgram(
    entries.map(({ source }) => join(ROOT, source)),
    {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      lib: ["lib.es2023.d.ts"],
      types: ["node"],
    },
  );
  const checker = program.getTypeChecker();

  it.each(entries)("$specifier", ({ source }) => {
    const file = program.getSourceFile(join(ROOT, source));
    const module = file && checker.getSymbolAtLocation(file);
    if (module === undefined) throw new Error(`${source} is no module`);
    const exported = checker.getExportsOfModule(module);
    expect(exported.length).toBeGreaterThan(0);
    const bare = exported.filter((symbol) => {
      const declared = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      return declared.getDocumentationComment(checker).length === 0;
    });
    expect(bare.map(({ name }) => name)).toEqual([]);
  });
});

/** The names that a source file exports as values, in the order of a module's namespace. */
function valuesOf(source: string): string[] {
  const path = join(ROOT, source);
  const program = ts.createProgram([path], {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    types: ["node"],
    noLib: true,
  });
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(path);
  const module = file && checker.getSymbolAtLocation(file);
  if (module === undefined) throw new Error(`${source} is no module`);
  return checker
    .getExportsOfModule(module)
    .filter((symbol) => {
      const declared = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      const typeOnly = symbol.declarations?.some(
        (declaration) =>
          ts.isExportSpecifier(declaration) &&
          (declaration.isTypeOnly || declaration.parent.parent.isTypeOnly),
      );
      return typeOnly !== true && (declared.flags & ts.SymbolFlags.Value) !== 0;
    })
    .map(({ name }) => name)
    .sort();
}

describe("docs/design.md", () => {
  it("tells what the core weighs, as scripts/size.js does, to a tenth of a kilobyte", () => {
    const printed = execFileSync(process.execPath, ["scripts/size.js"], { cwd: ROOT, encoding: "utf8" });
    const weighs = (names: string): number => {
      const [line = ""] = printed.split("\n").filter((text) => text.startsWith(`${names} `));
      return Number(/(\d+)$/.exec(line)?.[1]);
    };
    const page = readFileSync(join(ROOT, "docs/design.md"), "utf8").replace(/\s+/g, " ");
    const told =
      /an open `Connection` has ([\d.]+) kB, both roles with their handshakes ([\d.]+) kB, frame reader and writer alone ([\d.]+) kB/;
    const is = ["Connection", "ServerConnection, ClientConnection", "FrameReader, FrameWriter"].map(weighs);
    (told.exec(page) ?? []).slice(1).forEach((kilobytes, index) => {
      expect(Math.abs(Number(kilobytes) - (is[index] ?? NaN) / 1000)).toBeLessThan(0.1);
    });
    expect(told.exec(page)).toHaveLength(4);
  });
});
