// What two ends of HTTP/2 really say to each other: a proxy between them that reads the frames (RFC 9113 4.1).

import { once } from "node:events";
import * as net from "node:net";

import { onTestFinished } from "vitest";

const TYPES: readonly string[] = [
  "DATA",
  "HEADERS",
  "PRIORITY",
  "RST_STREAM",
  "SETTINGS",
  "PUSH_PROMISE",
  "PING",
  "GOAWAY",
  "WINDOW_UPDATE",
  "CONTINUATION",
];

export interface Http2Frame {
  readonly type: string;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** END_STREAM, on DATA and HEADERS. */
export const END_STREAM = 1;

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".length;

function reader(preface: number, frames: Http2Frame[]): (bytes: Buffer) => void {
  let stored: Buffer = Buffer.alloc(0);
  let skip = preface;
  return (bytes) => {
    stored = Buffer.concat([stored, bytes]);
    if (skip > 0) {
      if (stored.length < skip) return;
      stored = stored.subarray(skip);
      skip = 0;
    }
    while (stored.length >= 9 && stored.length >= 9 + stored.readUIntBE(0, 3)) {
      const end = 9 + stored.readUIntBE(0, 3);
      frames.push({
        type: TYPES[stored[3] ?? 0] ?? "unknown",
        flags: stored[4] ?? 0,
        stream: stored.readUInt32BE(5) & 0x7fffffff,
        payload: stored.subarray(9, end),
      });
      stored = stored.subarray(end);
    }
  };
}

/** A port that leads to `port`, and the frames that passed. What the server says waits while `held`. */
export async function http2Proxy(port: number): Promise<{
  readonly port: number;
  readonly fromClient: readonly Http2Frame[];
  readonly fromServer: readonly Http2Frame[];
  hold(): void;
  letGo(): void;
}> {
  const fromClient: Http2Frame[] = [];
  const fromServer: Http2Frame[] = [];
  let held = false;
  let waiting: (() => void)[] = [];
  const proxy = net.createServer((near) => {
    const far = net.connect(port, "127.0.0.1");
    const clientSaid = reader(PREFACE, fromClient);
    const serverSaid = reader(0, fromServer);
    const drop = (): void => {
      near.destroy();
      far.destroy();
    };
    near.on("data", (bytes: Buffer) => {
      clientSaid(bytes);
      far.write(bytes);
    });
    far.on("data", (bytes: Buffer) => {
      const pass = (): void => {
        serverSaid(bytes);
        near.write(bytes);
      };
      if (held) waiting.push(pass);
      else pass();
    });
    for (const socket of [near, far]) {
      socket.on("error", drop);
      socket.on("close", drop);
    }
    onTestFinished(drop);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  onTestFinished(() => void proxy.close());
  return {
    port: (proxy.address() as net.AddressInfo).port,
    fromClient,
    fromServer,
    hold() {
      held = true;
    },
    letGo() {
      held = false;
      for (const pass of waiting) pass();
      waiting = [];
    },
  };
}
