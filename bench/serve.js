// A process that runs one server, tells what it costs, and ends when nobody is left to ask.

import { cpu } from "./lib/clock.js";
import { collect } from "./lib/collect.js";
import { makePayload } from "./lib/frames.js";
import { answerLines } from "./lib/lines.js";

let server;

const COMMANDS = {
  async start({ name, host, size }) {
    const { isRaw = false, isLimit = false, start, version } = await import(`./servers/${name}.js`);
    server = await start({ host, payload: Buffer.from(makePayload("binary", size, 1)) });
    return { port: server.port, isRaw, isLimit, version };
  },
  cpu: () => cpu(),
  memory() {
    collect();
    const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
    return { heap: heapUsed, buffers: arrayBuffers ?? 0, rss };
  },
  broadcast: ({ burst }) => server.broadcast(burst),
};

process.on("uncaughtException", (error) => {
  if (error.code === "ECONNRESET" || error.code === "EPIPE") return; // clients that are gone are no failure
  console.error(error);
  process.exit(1);
});

answerLines((question) => COMMANDS[question.do](question));
