// Connections that are open already, with a clock that is set by hand and entropy that repeats.

import type { Options, Platform, Role } from "../../src/index.js";
import { Connection } from "../../src/index.js";
import type { FrameSpec, WireFrame } from "./wire.js";
import { concat, frame, parseFrames, takeAll } from "./wire.js";

export const ROLES: readonly Role[] = ["server", "client"];

/** A clock for a platform. */
export class ManualClock {
  now = 1_000;
  readonly read = (): number => this.now;

  pass(milliseconds: number): void {
    this.now += milliseconds;
  }
}

/** 32 bits that differ from call to call and repeat from run to run. */
export function repeatable(seed = 1): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state;
  };
}

/** An open connection whose `open` event was taken. */
export function opened(role: Role, options: Options = {}): Connection {
  const platform: Platform = { random: repeatable(), ...options.platform };
  const connection = new Connection(role, { ...options, platform });
  const event = connection.nextEvent();
  if (event?.type !== "open") throw new Error("the connection is not open");
  return connection;
}

/** A frame as the peer of a `role` sends it. */
export function fromPeer(role: Role, spec: FrameSpec): Uint8Array {
  return frame({ masked: role === "server", ...spec });
}

export function framesFromPeer(role: Role, specs: readonly FrameSpec[]): Uint8Array {
  return concat(specs.map((spec) => fromPeer(role, spec)));
}

/** Takes the output; throws unless it is whole frames, each masked if and only if it is a client's. */
export function takeFrames(connection: Connection): WireFrame[] {
  const frames = parseFrames(takeAll(connection));
  for (const { masked } of frames)
    if (masked !== (connection.role === "client")) throw new Error("a mask is missing, or is too much");
  return frames;
}
