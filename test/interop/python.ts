import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import type { Command, Feature, Implementation, Payload } from "./implementation.js";
import { ANSWERED, REFUSAL, Remote, THEIR_LIMIT } from "./implementation.js";

// An implementation in Python: one process of a script beside this file, told by JSON lines what to do.

/** The system's own Python, which has the system's packages. */
const PYTHON = "/usr/bin/python3";

interface Script {
  readonly name: string;
  /** The script's file name. */
  readonly script: string;
  /** The system package that has what the script imports. */
  readonly systemPackage: string;
  readonly lacks?: readonly Feature[];
}

/** A line from the script. */
interface Told {
  readonly event: string;
  readonly connection: string | null;
  readonly port?: number;
  readonly [field: string]: unknown;
}

export function pythonImplementation({ name, script, systemPackage, lacks = [] }: Script): Implementation {
  const remotes = new Map<string, Remote>();
  let child: ChildProcessWithoutNullStreams | undefined;
  let failure: Error | undefined;
  let port: Promise<number> | undefined;
  let listening: { resolve: (port: number) => void; reject: (error: Error) => void } | undefined;
  let count = 0;

  function fail(error: Error): void {
    failure ??= error;
    listening?.reject(failure);
    for (const remote of remotes.values()) remote.failed(failure);
  }

  function hear(line: string): void {
    const { event, connection, ...told } = JSON.parse(line) as Told;
    if (event === "listening") {
      listening?.resolve(told.port ?? 0);
      return;
    }
    if (event === "missing") {
      fail(
        new Error(`${name} cannot be imported (${String(told["detail"])}): apt-get install ${systemPackage}`),
      );
      return;
    }
    const remote = remotes.get(connection ?? "");
    const read = {
      open: () =>
        remote?.saw("open", { subprotocol: optional(told["subprotocol"]), header: optional(told["header"]) }),
      message: () => remote?.saw("message", { payload: payloadOf(told["payload"]) }),
      ping: () => remote?.saw("ping", { payload: payloadOf(told["payload"]) as Uint8Array }),
      pong: () => remote?.saw("pong", { payload: payloadOf(told["payload"]) as Uint8Array }),
      rejected: () => remote?.saw("rejected", { status: Number(told["status"]), body: String(told["body"]) }),
      closed: () => remote?.saw("closed", { code: Number(told["code"]), reason: String(told["reason"]) }),
    };
    if (event in read) read[event as keyof typeof read]();
    else fail(new Error(`${script} told what nobody understands: ${line.slice(0, 200)}`));
  }

  function start(): ChildProcessWithoutNullStreams {
    if (child !== undefined) return child;
    // -B: no compiled files beside the scripts
    const started = spawn(PYTHON, ["-B", fileURLToPath(new URL(script, import.meta.url))]);
    child = started;
    let complaint = "";
    createInterface({ input: started.stdout }).on("line", hear);
    started.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaint = (complaint + text).slice(-4000);
    });
    started.stdin.on("error", () => undefined); // it has ended, which is told below
    started.on("error", (error) => {
      fail(new Error(`${PYTHON} does not run (${error.message}): apt-get install python3 ${systemPackage}`));
    });
    started.on("close", (code) => {
      fail(new Error(`${script} ended with ${String(code)}: ${complaint}`));
    });
    return started;
  }

  function say(line: Readonly<Record<string, unknown>>): void {
    start().stdin.write(
      `${JSON.stringify(line, (_, value: unknown) =>
        value instanceof Uint8Array ? { base64: Buffer.from(value).toString("base64") } : value,
      )}\n`,
    );
  }

  function remoteNamed(connection: string): Remote {
    const remote = new Remote((command: Command) => {
      say({ ...command, connection });
    });
    remotes.set(connection, remote);
    if (failure !== undefined) remote.failed(failure);
    return remote;
  }

  return {
    name,
    lacks,
    connect: async ({ url, subprotocols = [], headers = {}, limited = false, deflate }) => {
      const connection = String(++count);
      const remote = remoteNamed(connection);
      const limit = limited ? THEIR_LIMIT : null;
      say({ do: "connect", connection, url, subprotocols, headers, limit, deflate: deflate ?? null });
      return remote;
    },
    listen: async (manner, deflate) => {
      port ??= new Promise((resolve, reject) => {
        listening = { resolve, reject };
        if (failure === undefined)
          say({ do: "listen", answered: ANSWERED, refusal: REFUSAL, limit: THEIR_LIMIT });
        else reject(failure);
      });
      const connection = String(++count);
      const wanted = deflate === undefined ? "" : `&deflate=${encodeURIComponent(JSON.stringify(deflate))}`;
      const url = `ws://127.0.0.1:${await port}${manner}?id=${connection}${wanted}`;
      return { url, remote: remoteNamed(connection) };
    },
    stop: async () => {
      if (child?.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      const gone = new Promise((resolve) => child?.once("close", resolve));
      child.kill("SIGKILL");
      await gone;
    },
  };
}

function payloadOf(value: unknown): Payload {
  return typeof value === "string" ? value : Buffer.from((value as { base64: string }).base64, "base64");
}

function optional(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
