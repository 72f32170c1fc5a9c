// The same echo behind two doors: on an HTTP server's port, where a page is served too, and on a port of its own.
//   npm start              http://127.0.0.1:8080/, ws://127.0.0.1:8080/echo and ws://127.0.0.1:8081/echo
//   PORT=3000 npm start    the same on 3000 and 3001; PORT=0 takes two ports that are free
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

import { serve, upgradeEndpoint } from "sansocket/node";

const host = "127.0.0.1";
const port = Number(process.env.PORT || 8080);
const pageFile = new URL("index.html", import.meta.url);

/** Sends everything back. Only when the peer has room is the next message read, so that a slow one costs no memory. */
async function echo(peer) {
  for await (const message of peer) {
    if (!peer.send(message.data)) await peer.drained();
  }
}

/** What both doors do; `name` is for the log. */
function echoOptions(name) {
  return {
    open: echo,
    close(peer, { code, reason, clean, sent, cause }) {
      const received = `received ${code} ${JSON.stringify(reason)}, sent ${sent?.code ?? "nothing"}`;
      const where = cause.offset === undefined ? "" : ` at byte ${cause.offset}`;
      const error = cause.error instanceof Error ? ` (${cause.error.message})` : "";
      console.log(
        `${name}: closed ${clean ? "cleanly" : "uncleanly"}: ${received}; ` +
          `by ${cause.by}: ${cause.rule}${where} [${cause.section}] ${cause.message}${error}`,
      );
    },
  };
}

/** Browsers tell which page connects. The one served here has another port than the plain echo: it has to be let in. */
function isOurPage(origin) {
  const own = http.address()?.port;
  return origin === `http://127.0.0.1:${own}` || origin === `http://localhost:${own}`;
}

const onHttp = upgradeEndpoint({ path: "/echo", ...echoOptions("http") });
const http = createServer((request, response) => {
  const found = request.url?.split("?")[0] === "/" && (request.method === "GET" || request.method === "HEAD");
  const type = `text/${found ? "html" : "plain"}; charset=utf-8`;
  response.writeHead(found ? 200 : 404, { "Content-Type": type, "Cache-Control": "no-store" });
  response.end(found ? page : "Not found. The page is at /, the echo (a WebSocket) at /echo.\n");
});
http.on("upgrade", onHttp.handleUpgrade);

let plain; // the port of its own; it echoes on every path
let page;
try {
  plain = await serve({ host, port: port && port + 1, origins: isOurPage, ...echoOptions("plain") });
  page = (await readFile(pageFile, "utf8")).replace("{{plain port}}", plain.address.port);
  http.listen(port, host);
  await once(http, "listening");
} catch (error) {
  console.error(
    error.code === "EADDRINUSE"
      ? `Port ${error.port} is in use. Choose another one (and the one after it is taken, too): PORT=3000 npm start`
      : `The demo cannot start: ${error.message}`,
  );
  process.exit(1);
}

const address = `${host}:${http.address().port}`;
console.log(`page          http://${address}/`);
console.log(`echo, http    ws://${address}/echo`);
console.log(`echo, plain   ${plain.url}/echo`);

async function stop() {
  await Promise.all([onHttp.close({ reason: "the demo ends" }), plain.close({ reason: "the demo ends" })]);
  http.close();
  http.closeAllConnections();
}
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void stop());
