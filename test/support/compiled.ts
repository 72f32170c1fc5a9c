// The source as JavaScript in a folder of its own, for tests that need a process of its own: Node 20 strips no types.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import ts from "typescript";

const SOURCE = fileURLToPath(new URL("../../src/", import.meta.url));

export interface CompiledSource {
  /** The folder, with a slash at its end. */
  readonly url: URL;
  remove(): void;
}

/** Compiles all of src/. */
export function compileSource(): CompiledSource {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sansocket-"));
  fs.writeFileSync(path.join(folder, "package.json"), '{ "type": "module" }');
  for (const file of fs.readdirSync(SOURCE, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".ts")) continue;
    const target = path.join(folder, file.replace(/\.ts$/, ".js"));
    fs.mkdirSync(path.dirname(target), { recursive: true });
    const { outputText } = ts.transpileModule(fs.readFileSync(path.join(SOURCE, file), "utf8"), {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    });
    fs.writeFileSync(target, outputText);
  }
  return {
    url: pathToFileURL(`${folder}/`),
    remove() {
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}
