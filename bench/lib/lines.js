// Processes talk in lines of JSON over stdin and stdout: every runtime has those.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** The child's side: calls `handle` for each line; what it returns is the answer. */
export function answerLines(handle) {
  const say = (message) => void process.stdout.write(`${JSON.stringify(message)}\n`);
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    void (async () => {
      try {
        say({ answer: (await handle(JSON.parse(line))) ?? null });
      } catch (error) {
        say({ error: String(error instanceof Error ? error.message : error) });
      }
    })();
  });
  lines.on("close", () => process.exit(0)); // nobody is left to ask
  return say;
}

/** The parent's side: one question at a time. */
export class Child {
  #process;
  #waiting = undefined;
  #heard = "";
  #gone;

  /** @param {{ binary: string, args: string[] }} runtime */
  constructor(runtime, script, args = [], env = {}) {
    this.#process = spawn(runtime.binary, [...runtime.args, script, ...args], {
      env: { ...process.env, NODE_NO_WARNINGS: "1", ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#process.stdin.on("error", () => undefined);
    this.#process.stderr.setEncoding("utf8").on("data", (text) => {
      this.#heard = (this.#heard + text).slice(-4000);
    });
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      if (!line.startsWith("{")) return;
      const { answer, error } = JSON.parse(line);
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (error === undefined) waiting?.resolve(answer);
      else waiting?.reject(new Error(error));
    });
    this.#gone = new Promise((resolve) => {
      const gone = (why) => {
        this.#waiting?.reject(new Error(`${why}\n${this.#heard}`.trim()));
        this.#waiting = undefined;
        this.dead = true;
        resolve();
      };
      this.#process.once("error", (error) => gone(`cannot be started: ${error.message}`));
      this.#process.once("close", (code, signal) => gone(`the process ended with ${String(signal ?? code)}`));
    });
  }

  dead = false;

  ask(question, timeout = 60_000) {
    return new Promise((resolve, reject) => {
      if (this.dead) {
        reject(new Error(`the process has ended\n${this.#heard}`.trim()));
        return;
      }
      const timer = setTimeout(() => {
        this.#waiting = undefined;
        reject(new Error(`no answer in ${timeout / 1000} s`));
        this.#process.kill("SIGKILL");
      }, timeout);
      const done = (settle) => (value) => {
        clearTimeout(timer);
        settle(value);
      };
      this.#waiting = { resolve: done(resolve), reject: done(reject) };
      this.#process.stdin.write(`${JSON.stringify(question)}\n`);
    });
  }

  async end() {
    this.#process.stdin.end();
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 2000);
    await this.#gone;
    clearTimeout(timer);
  }
}
