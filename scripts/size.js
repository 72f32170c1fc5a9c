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
  console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(24) : String(cell).padStart(10))).join(""));

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

console.log();
print("built, in bytes", "whole", "minified", "gzipped");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
for (const [subpath, target] of Object.entries(manifest.exports)) {
  if (typeof target === "string") continue;
  const bundle = async (minify) => {
    const { outputFiles } = await build({
      entryPoints: [join(root, target.default)],
      bundle: true,
      external: ["node:*"],
      format: "esm",
      target: "es2022",
      minify,
      legalComments: "none",
      write: false,
    });
    return outputFiles[0].contents;
  };
  const minified = await bundle(true);
  print(
    manifest.name + subpath.slice(1),
    (await bundle(false)).length,
    minified.length,
    gzipSync(minified, { level: 9 }).length,
  );
}
