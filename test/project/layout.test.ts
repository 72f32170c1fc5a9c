import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SRC = join(ROOT, "src");

/**
 * What may know what. A file imports from its own folder and from the lines above its own, types included; neighbours on
 * one line do not know each other.
 */
const LAYERS: readonly (readonly string[])[] = [
  ["deflate/codec.ts", "coding.ts"],
  ["platform.ts", "errors.ts", "rules.ts"],
  ["bytes/"],
  ["frame/"],
  ["message/", "handshake/"],
  ["deflate/"],
  ["settings.ts"],
  ["closing.ts", "timers.ts", "pings.ts", "events.ts"],
  ["connection.ts"],
  ["client.ts", "server.ts"],
  ["index.ts"],
  // What every adapter shares, then the adapters, which do not know each other.
  ["adapters/zlib/"],
  ["testing/", "conformance/", "adapters/", "adapters/node-utf8.ts", "adapters/zlib.ts"],
  ["adapters/system.ts"],
  ["adapters/bun.ts", "adapters/deno.ts", "adapters/node.ts", "adapters/streams.ts", "whatwg/"],
  // On Node, too.
  ["adapters/http2.ts"],
];

/** The only files that know a runtime, or what they all have; the other adapters' files are shared and know none. */
const KNOW_A_RUNTIME: readonly string[] = [
  "adapters/bun.ts",
  "adapters/deno.ts",
  "adapters/http2.ts",
  "adapters/node-utf8.ts",
  "adapters/node.ts",
  "adapters/system.ts",
  "adapters/zlib.ts",
];

interface SourceFile {
  readonly name: string;
  readonly ast: ts.SourceFile;
  readonly imports: readonly string[];
}

const files: readonly SourceFile[] = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((path) => path.replaceAll("\\", "/"))
  .sort()
  .map((name) => {
    const ast = ts.createSourceFile(
      name,
      readFileSync(join(SRC, name), "utf8"),
      ts.ScriptTarget.ES2022,
      true,
    );
    return { name, ast, imports: importsOf(ast) };
  });

/** Everything outside of the adapters, the classes over them, and the testing tools. */
const core = files.filter(({ name }) => !/^(adapters|testing|whatwg)\//.test(name));

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  node.forEachChild((child) => walk(child, visit));
}

/** What a file names as a module: import, export from, import(), import type. */
function importsOf(ast: ts.SourceFile): string[] {
  const found: string[] = [];
  walk(ast, (node) => {
    const module =
      ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
        ? node.moduleSpecifier
        : ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)
          ? node.argument.literal
          : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
            ? node.arguments[0]
            : undefined;
    if (module !== undefined) found.push(ts.isStringLiteral(module) ? module.text : "(computed)");
  });
  return found;
}

function targetOf(from: string, specifier: string): string {
  return relative(SRC, join(SRC, dirname(from), specifier))
    .replaceAll("\\", "/")
    .replace(/\.js$/, ".ts");
}

const within = (from: SourceFile): string[] =>
  from.imports
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => targetOf(from.name, specifier));

/** The file's own entry in LAYERS and the line that it stands on; a file's own goes before its folder's. */
function placeOf(name: string): { entry: string; layer: number } | undefined {
  return LAYERS.flatMap((entries, layer) => entries.map((entry) => ({ entry, layer })))
    .filter(({ entry }) => (entry.endsWith("/") ? name.startsWith(entry) : name === entry))
    .sort((a, b) => b.entry.length - a.entry.length)[0];
}

describe("the layout: dependency runs downwards only", () => {
  it.each(files)("$name has a place, and imports only what lies below it", (file) => {
    const place = placeOf(file.name);
    if (place === undefined) throw new Error("it is in no layer: say in LAYERS what it may know");
    const upwards = within(file).filter((target) => {
      const to = placeOf(target);
      return to === undefined || (to.entry !== place.entry && to.layer >= place.layer);
    });
    expect(upwards).toEqual([]);
  });

  it("no place in the layers is empty", () => {
    const used = new Set(files.map(({ name }) => placeOf(name)?.entry));
    expect(LAYERS.flat().filter((entry) => !used.has(entry))).toEqual([]);
  });

  it("no file imports itself in a circle, for types neither", () => {
    const byName = new Map(files.map((file) => [file.name, file]));
    const done = new Set<string>();
    const circles: string[] = [];
    const follow = (name: string, path: readonly string[]): void => {
      if (path.includes(name)) {
        circles.push([...path.slice(path.indexOf(name)), name].join(" > "));
        return;
      }
      const file = byName.get(name);
      if (file === undefined || done.has(name)) return;
      for (const target of within(file)) follow(target, [...path, name]);
      done.add(name);
    };
    for (const { name } of files) follow(name, []);
    expect(circles).toEqual([]);
  });

  it.each(files)("$name imports files that are there, by a path that ends in .js", (file) => {
    const relatives = file.imports.filter((specifier) => specifier.startsWith("."));
    const names = new Set(files.map(({ name }) => name));
    expect(
      relatives.filter(
        (specifier) => !specifier.endsWith(".js") || !names.has(targetOf(file.name, specifier)),
      ),
    ).toEqual([]);
  });
});

describe("no packages: what is imported from outside", () => {
  it.each(files)("$name", ({ name, imports }) => {
    const outside = imports.filter((specifier) => !specifier.startsWith("."));
    const allowed = KNOW_A_RUNTIME.includes(name) ? /^node:/ : /^$/;
    expect(outside.filter((specifier) => !allowed.test(specifier))).toEqual([]);
  });
});

describe("the core's compiler settings know no runtime", () => {
  const unknown = [
    "Buffer",
    "URL",
    "TextDecoder",
    "TextEncoder",
    "WebAssembly",
    "WebSocket",
    "clearTimeout",
    "console",
    "crypto",
    "fetch",
    "global",
    "performance",
    "process",
    "queueMicrotask",
    "require",
    "setImmediate",
    "setInterval",
    "setTimeout",
    "structuredClone",
    "window",
  ];
  const known = ["ArrayBuffer", "DataView", "Math", "Uint8Array"];
  const probes = new Map<string, string>();
  for (const name of [...unknown, ...known]) {
    probes.set(join(SRC, `probe-${name}.ts`), `export const probe: unknown = ${name};\n`);
  }
  const moduleProbe = join(SRC, "probe-module.ts");
  probes.set(moduleProbe, 'import * as net from "node:net";\nexport const probe: unknown = net;\n');
  // Cannot find name, without and with a hint at the types of Node (2580, 2591) or at the DOM (2584).
  const cannotFindName = [2304, 2580, 2584, 2591];
  const cannotFindModule = [2307, 2591];

  const codesFor = compile("tsconfig.core.json", probes);

  it.each(unknown)("%s does not compile", (name) => {
    const codes = codesFor(join(SRC, `probe-${name}.ts`));
    expect(codes).toHaveLength(1);
    expect(cannotFindName).toContain(codes[0]);
  });

  it('import "node:net" does not compile', () => {
    const codes = codesFor(moduleProbe);
    expect(codes).toHaveLength(1);
    expect(cannotFindModule).toContain(codes[0]);
  });

  it.each(known)("%s compiles", (name) => {
    expect(codesFor(join(SRC, `probe-${name}.ts`))).toEqual([]);
  });

  it("they hold for every file but those that know a runtime", () => {
    const { fileNames } = readConfig("tsconfig.core.json");
    const compiled = fileNames.map((path) => relative(SRC, path).replaceAll("\\", "/"));
    const left = files.map(({ name }) => name).filter((name) => !compiled.includes(name));
    expect(left).toEqual(KNOW_A_RUNTIME);
  });
});

describe("the language's own clock, randomness and surroundings are not used", () => {
  /** ECMAScript has these without any DOM, so that the compiler lets them pass. */
  const impure = new Set([
    "Atomics",
    "Date",
    "FinalizationRegistry",
    "Function",
    "Intl",
    "SharedArrayBuffer",
    "WeakRef",
    "eval",
    "globalThis",
  ]);
  const impureMembers = new Set(["Math.random"]);
  const byLocale = /^(?:localeCompare|toLocale\w+)$/;

  /** Names that are used as values, not declared, and not another object's property. */
  function impurities(ast: ts.SourceFile): string[] {
    const found: string[] = [];
    const report = (node: ts.Node, what: string): void => {
      found.push(`line ${ast.getLineAndCharacterOfPosition(node.getStart()).line + 1}: ${what}`);
    };
    walk(ast, (node) => {
      if (ts.isPropertyAccessExpression(node)) {
        const member = `${node.expression.getText()}.${node.name.text}`;
        if (impureMembers.has(member)) report(node, member);
        if (byLocale.test(node.name.text)) report(node, node.name.text);
      } else if (ts.isElementAccessExpression(node) && node.expression.getText() === "Math") {
        report(node, "Math[...]");
      } else if (ts.isIdentifier(node) && impure.has(node.text)) {
        const { parent } = node;
        const isMember = ts.isPropertyAccessExpression(parent) && parent.name === node;
        const isKey = ts.isPropertyAssignment(parent) && parent.name === node;
        if (!isMember && !isKey) report(node, node.text);
      } else if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword) {
        report(node, "import.meta");
      }
    });
    return found;
  }

  it.each([
    ["Math.random()", 1],
    ["Date.now()", 1],
    ["new Date()", 1],
    ["Date()", 1],
    ["const { now } = Date", 1],
    ["globalThis.performance", 1],
    ["import.meta.url", 1],
    ['"a".localeCompare("b")', 1],
    ["event.Date", 0],
    ["({ Date: 1 })", 0],
    ["Math.min(1, 2)", 0],
  ])("the search itself: %s", (source, count) => {
    expect(impurities(ts.createSourceFile("probe.ts", source, ts.ScriptTarget.ES2022, true))).toHaveLength(
      count,
    );
  });

  it.each(core)("$name", ({ ast }) => {
    expect(impurities(ast)).toEqual([]);
  });

  it.each(files.filter(({ name }) => name.startsWith("testing/")))(
    "$name, so that replays are exact",
    ({ ast }) => {
      expect(impurities(ast)).toEqual([]);
    },
  );
});

function readConfig(name: string): ts.ParsedCommandLine {
  const path = join(ROOT, name);
  const { config } = ts.readConfigFile(path, (file) => ts.sys.readFile(file)) as { config: unknown };
  return ts.parseJsonConfigFileContent(config, ts.sys, ROOT, undefined, path);
}

/** Compiles files that exist only here, under a config's settings; gives back the error codes of each. */
function compile(config: string, sources: ReadonlyMap<string, string>): (path: string) => number[] {
  const { options } = readConfig(config);
  const host = ts.createCompilerHost(options);
  const readFile = host.readFile.bind(host);
  const fileExists = host.fileExists.bind(host);
  const getSourceFile = host.getSourceFile.bind(host);
  host.readFile = (path) => sources.get(path) ?? readFile(path);
  host.fileExists = (path) => sources.has(path) || fileExists(path);
  host.getSourceFile = (path, version, ...rest) => {
    const source = sources.get(path);
    return source === undefined
      ? getSourceFile(path, version, ...rest)
      : ts.createSourceFile(path, source, version, true);
  };
  const program = ts.createProgram([...sources.keys()], options, host);
  return (path) => {
    const file = program.getSourceFile(path);
    if (file === undefined) throw new Error(`${path} was not compiled`);
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
      ({ code }) => code,
    );
  };
}
