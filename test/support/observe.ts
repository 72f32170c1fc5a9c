import type { Connection, ConnectionEvent } from "../../src/index.js";

/** An event as data that compares: bytes in hexadecimal, what is computed on demand computed. */
export type PlainEvent = Readonly<Record<string, unknown>> & { readonly type: string };

export function plain(event: ConnectionEvent): PlainEvent {
  switch (event.type) {
    case "text":
      return { type: "text", text: event.text, payload: hex(event.payload), final: event.final };
    case "binary":
      return { type: "binary", payload: hex(event.payload), final: event.final };
    case "ping":
    case "rejected":
      return event.type === "ping"
        ? { type: "ping", payload: hex(event.payload) }
        : { ...event, body: hex(event.body) };
    case "pong":
      return { ...event, payload: hex(event.payload) };
    case "request":
      return {
        type: "request",
        request: { ...Object.fromEntries(Object.entries(event.request)), headers: event.request.headers },
      };
    default:
      return { ...event };
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

/** Joins the pieces of a message that stand side by side: how many there are depends on the chunks that came. */
export function joined(events: readonly PlainEvent[]): PlainEvent[] {
  const list: PlainEvent[] = [];
  for (const event of events) {
    const before = list.at(-1);
    if (before?.["final"] !== false || before.type !== event.type) {
      list.push(event);
      continue;
    }
    const text = before.type === "text" ? { text: `${String(before["text"])}${String(event["text"])}` } : {};
    const payload = `${String(before["payload"])}${String(event["payload"])}`;
    list[list.length - 1] = { ...event, ...text, payload };
  }
  return list;
}

/** The events that are there now, as data. */
export function pull(connection: Connection): PlainEvent[] {
  return [...connection.events()].map(plain);
}

/** All that is queued, as one array. */
export function takeAll(connection: Connection): Uint8Array {
  return new Uint8Array(Buffer.concat(connection.takeOutput() ?? []));
}
