// Prints how much there is: lines per folder, and what the built core weighs.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import ts from "typescript";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Lines that hold at least one token: neither blank nor comment alone. */
function countCode(path) {
  const text = readFileSync(path, "utf8");
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
  const lines = new Set();
  const visit = (node) => {
    if (node.getChildCount() === 0 && node.kind !== ts.SyntaxKind.EndOfFileToken) {
      const first = file.getLineAndCharacterOfPosition(node.getStart()).line;
      const last = file.getLineAndCharacterOfPosition(node.end).line;
      if (node.end > node.getStart()) for (let line = first; line <= last; line++) lines.add(line);
    }
    // Docstrings are children, too, in this tree.
    for (const child of node.getChildren()) if (!ts.isJSDoc(child)) visit(child);
  };
  visit(file);
  return lines.size;
}

function* filesIn(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesIn(path);
    else if (/\.[jt]s$/.test(entry.name)) yield path;
  }
}

/** Adds a folder's files up by the folder that they are in, to a given depth. */
function* rows(top, depth) {
  const counts = new Map();
  for (const path of filesIn(join(root, top))) {
    const parts = path.slice(root.length).split(/[\\/]/).slice(0, -1);
    const folder = `${parts.slice(0, depth).join("/")}/`;
    const { files, lines, code } = counts.get(folder) ?? { files: 0, lines: 0, code: 0 };
    const total = readFileSync(path, "utf8").split("\n").length - 1;
    counts.set(folder, { files: files + 1, lines: lines + total, code: code + countCode(path) });
  }
  for (const [folder, count] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1))) yield { folder, ...count };
}

const print = (...cells) =>
  console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(36) : String(cell).padStart(10))).join(""));

print("folder", "files", "lines", "code");
for (const [top, depth] of [
  ["src", 2],
  ["test", 2],
  ["examples", 2],
  ["scripts", 1],
]) {
  if (!statSync(join(root, top), { throwIfNoEntry: false })) continue;
  for (const { folder, files, lines, code } of rows(top, depth)) print(folder, files, lines, code);
}

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const subpaths = Object.entries(manifest.exports).filter(([, target]) => typeof target === "object");

/** What a bundler makes of `contents`, which may import the built package by its files. */
async function bundle(contents, minify, plugins = []) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: root },
    bundle: true,
    external: ["node:*"],
    platform: "neutral",
    format: "esm",
    target: "es2022",
    minify,
    legalComments: "none",
    plugins,
    logLevel: "error",
    write: false,
  });
  return outputFiles[0].contents;
}

const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;

/** Leaves out what the core's own entry has: what remains is the price of an entry for whoever has the core already. */
const withoutCore = {
  name: "without-core",
  setup(build) {
    build.onResolve({ filter: /^\./ }, ({ path, importer, resolveDir }) => {
      const inSource = /[\\/]src[\\/](adapters|testing|conformance)[\\/]/;
      const target = join(resolveDir, path);
      return inSource.test(importer) && !inSource.test(target) ? { path, external: true } : undefined;
    });
  },
};

console.log();
print("built, in bytes", "whole", "minified", "gzipped", "less core");
for (const [subpath, target] of subpaths) {
  const everything = `export * from ${JSON.stringify(target.default)};`;
  const minified = await bundle(everything, true);
  const source = target.default.replace("./dist/", "./src/").replace(/\.js$/, ".ts");
  const alone = await bundle(`export * from ${JSON.stringify(source)};`, true, [withoutCore]);
  print(
    manifest.name + subpath.slice(1),
    (await bundle(everything, false)).length,
    minified.length,
    gzipped(minified),
    subpath === "." ? "" : gzipped(alone),
  );
}

// What is left of the core for who imports no more than this of it.
console.log();
print("imported alone", "minified", "gzipped");
for (const names of [
  ["FrameReader", "FrameWriter"],
  ["Connection"],
  ["ServerConnection"],
  ["ClientConnection"],
  ["ServerConnection", "ClientConnection"],
]) {
  const minified = await bundle(`export { ${names.join(", ")} } from "./dist/index.js";`, true);
  print(names.join(", "), minified.length, gzipped(minified));
}
