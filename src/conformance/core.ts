import { ClientConnection } from "../client.js";
import { Connection } from "../connection.js";
import { ServerConnection } from "../server.js";
import { join } from "./wire.js";
import type { ConformanceReport, StartConformance } from "./run.js";

/** Starts this package's own core, to be run in an engine that it is new to; and an example for other implementations. */
export const startCore: StartConformance = ({ role, begins }) => {
  let entropy = 0;
  const options = { platform: { random: () => (entropy = (entropy + 0x61c88647) | 0) }, halfClose: true };
  const connection =
    begins === "open"
      ? new Connection(role, options)
      : role === "server"
        ? new ServerConnection(options)
        : new ClientConnection("ws://example.com/chat", options);
  const messages: (string | Uint8Array)[] = [];
  const sent: Uint8Array[] = [];
  let opened = false;
  let code = 0; // no code: `closed` has to come
  const turn = (): void => {
    for (const event of connection.events()) {
      if (event.type === "request" && connection instanceof ServerConnection) connection.accept();
      if (event.type === "open") opened = true;
      if (event.type === "text" || event.type === "binary") messages.push(event.data);
      if (event.type === "closed") code = event.code;
    }
    sent.push(...(connection.takeOutput() ?? []));
  };
  turn();
  return {
    // A client's request is the first that it sends.
    request: connection instanceof ClientConnection ? join(sent.splice(0)) : undefined,
    receive(bytes) {
      connection.receive(bytes);
      turn();
    },
    finish(): ConformanceReport {
      connection.receiveEnd();
      turn();
      turn(); // taking the output may have brought the last event
      return { opened, messages, code, sent: join(sent) };
    },
  };
};
