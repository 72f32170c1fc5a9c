import { versions } from "node:process";

import type { Platform } from "../platform.js";
import type { Connecting } from "./dial.js";
import { webPlatform } from "./engine.js";
import { longMask, longMaskInto } from "./longs.js";
import { nodeUtf8 } from "./node-utf8.js";
import { zlibCodec } from "./zlib.js";

// What Node, Deno and Bun have alike besides the Web's globals: Node's own modules, and sockets.

/** What the system gives a connection: entropy, time, and kernels. */
export const systemPlatform: Platform = {
  ...webPlatform,
  ...("bun" in versions ? {} : { mask: longMask, maskInto: longMaskInto }), // the others are on V8
  utf8: nodeUtf8,
  get deflate() {
    return zlibCodec(); // found out when it is first needed
  },
};

/** How a connection is made and behaves, over the system's sockets; `tls` is each runtime's own. */
export interface SocketConnecting<Context = unknown> extends Connecting<Context> {
  /** The unix socket to connect to, in place of the URL's host. */
  readonly socketPath?: string | undefined;
}
