// Connections that agreed on permessage-deflate, and DEFLATE by zlib's own documented functions to talk to them.

import { constants, deflateRawSync, inflateRawSync } from "node:zlib";

import { nodePlatform } from "../../src/adapters/node.js";
import type {
  Connection,
  DeflateCodec,
  DeflateOptions,
  Deflator,
  Inflator,
  Options,
  Role,
} from "../../src/index.js";
import { ClientConnection, permessageDeflate, portableDeflate, ServerConnection } from "../../src/index.js";
import { repeatable } from "./opened.js";

const { deflate: platformDeflate } = nodePlatform;
if (platformDeflate === undefined)
  throw new Error("this Node's zlib cannot be used: the tests would be of less");

/** Both codecs, by name. */
export const CODECS: readonly (readonly [name: string, codec: DeflateCodec])[] = [
  ["the portable codec", portableDeflate],
  ["the platform's codec", platformDeflate],
];

/** With nothing forgotten, and everything compressed: what shows the most. */
export const TAKEOVER: DeflateOptions = {
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
  threshold: 0,
};

/** The same, with each message by itself. */
export const NO_TAKEOVER: DeflateOptions = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  threshold: 0,
};

export interface Both {
  readonly server: ServerConnection;
  readonly client: ClientConnection;
}

/** A client and a server that have met, their `open` taken. */
export function meet(server: Options, client: Options): Both {
  const external = { http: "external" } as const;
  const platform = { random: repeatable() };
  const ends: Both = {
    server: new ServerConnection({ ...server, ...external, platform: { ...platform, ...server.platform } }),
    client: new ClientConnection("ws://host/", {
      ...client,
      ...external,
      platform: { ...platform, ...client.platform },
    }),
  };
  ends.server.receiveRequest(ends.client.request);
  if (ends.server.nextEvent()?.type !== "request") throw new Error("the request did not pass");
  ends.server.accept();
  const { response } = ends.server;
  if (response === undefined) throw new Error("there is no response");
  ends.client.receiveResponse(response);
  for (const end of [ends.server, ends.client]) {
    const event = end.nextEvent();
    if (event?.type !== "open" || event.extensions.length === 0) throw new Error("nothing was agreed on");
  }
  return ends;
}

/** What both ends are made with. */
export interface Agreed {
  readonly codec: DeflateCodec;
  readonly deflate: DeflateOptions;
  readonly options?: Options;
}

export function both({ codec, deflate, options = {} }: Agreed): Both {
  const platform = { random: repeatable(), deflate: codec, ...options.platform };
  const make = (): Options => ({
    halfClose: true,
    ...options,
    extensions: [permessageDeflate(deflate)],
    platform,
  });
  return meet(make(), make());
}

/** The end of that role, which has agreed with another. */
export function end(role: Role, agreed: Agreed): Connection {
  return both(agreed)[role];
}

/** The options in which a `role` sends as `sending` says, and its peer as `receiving` does. */
export function directions(
  role: Role,
  sending: { readonly bits?: number; readonly takeover?: boolean },
  receiving: { readonly bits?: number; readonly takeover?: boolean } = {},
): DeflateOptions {
  const [server, client] = role === "server" ? [sending, receiving] : [receiving, sending];
  return {
    serverNoContextTakeover: server.takeover === false,
    clientNoContextTakeover: client.takeover === false,
    serverMaxWindowBits: server.bits,
    clientMaxWindowBits: client.bits,
    threshold: 0,
  };
}

const LEFT_OUT = Buffer.from("0000ffff", "hex");

/** A sender with zlib's own documented functions: the window goes on as far as `keeps`. */
export class ReferenceSender {
  private window: Buffer = Buffer.of();
  private readonly keeps: boolean;
  private readonly windowBits: number;

  constructor({ takeover = true, bits = 15 }: { readonly takeover?: boolean; readonly bits?: number } = {}) {
    this.keeps = takeover;
    this.windowBits = bits;
  }

  /** A message's payload (RFC 7692 7.2.1). */
  message(content: Uint8Array | string): Buffer {
    const bytes = Buffer.from(content);
    const dictionary = this.window.length > 0 ? { dictionary: this.window } : {};
    const deflated = deflateRawSync(bytes, {
      // zlib has no 8, and its 9 looks back no further.
      windowBits: Math.max(9, this.windowBits),
      finishFlush: constants.Z_SYNC_FLUSH,
      ...dictionary,
    });
    if (this.keeps) this.window = Buffer.concat([this.window, bytes]).subarray(-(1 << this.windowBits));
    if (deflated.length === 0) return Buffer.of(0); // RFC 7692 7.2.3.6
    if (!deflated.subarray(-4).equals(LEFT_OUT)) throw new Error("zlib did not flush");
    return deflated.subarray(0, -4);
  }
}

/** A receiver, likewise. */
export class ReferenceReceiver {
  private window: Buffer = Buffer.of();
  private readonly keeps: boolean;
  private readonly size: number;

  constructor({ takeover = true, bits = 15 }: { readonly takeover?: boolean; readonly bits?: number } = {}) {
    this.keeps = takeover;
    this.size = 1 << bits;
  }

  /** What a payload stands for; throws where it is not DEFLATE. */
  message(payload: Uint8Array): Buffer {
    const dictionary = this.window.length > 0 ? { dictionary: this.window } : {};
    const bytes = inflateRawSync(Buffer.concat([payload, LEFT_OUT]), {
      finishFlush: constants.Z_SYNC_FLUSH,
      ...dictionary,
    });
    if (this.keeps) this.window = Buffer.concat([this.window, bytes]).subarray(-this.size);
    return bytes;
  }
}

/** A codec that counts what it is asked for. */
export class CountingCodec implements DeflateCodec {
  created = 0;
  released = 0;
  /** How often messages were begun to be compressed: pushed to a deflator. */
  deflated = 0;
  private readonly codec: DeflateCodec;

  constructor(codec: DeflateCodec) {
    this.codec = codec;
  }

  /** How many were created and not released. */
  get live(): number {
    return this.created - this.released;
  }

  inflator(windowBits: number): Inflator {
    const inflator = this.codec.inflator(windowBits);
    return {
      ...this.counted(inflator),
      push(bytes, start, end) {
        inflator.push(bytes, start, end);
      },
      pull: (target, start, end) => inflator.pull(target, start, end),
      end: () => inflator.end(),
    };
  }

  deflator(windowBits: number, level: number): Deflator {
    const deflator = this.codec.deflator(windowBits, level);
    return {
      ...this.counted(deflator),
      push: (bytes, start, end, last) => {
        this.deflated++;
        deflator.push(bytes, start, end, last);
      },
      pull: (target, start, end) => deflator.pull(target, start, end),
    };
  }

  private counted(coder: Inflator | Deflator): { reset: () => void; release: () => void } {
    this.created++;
    let released = false;
    return {
      reset() {
        if (released) throw new Error("a coder was reset that had been released");
        coder.reset();
      },
      release: () => {
        if (!released) this.released++;
        released = true;
        coder.release();
      },
    };
  }
}
