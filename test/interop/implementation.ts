// What the exchanges need of another implementation: connections that are told what to do, and that tell what they see.

/** A text or a binary message. */
export type Payload = string | Uint8Array;

/** What the other side is told to do on an open connection. */
export type Command =
  | { readonly do: "send"; readonly payload: Payload }
  /** A fragment: the message's first one, one in the middle, or the `final` one. */
  | { readonly do: "fragment"; readonly payload: Payload; readonly final: boolean }
  | { readonly do: "ping"; readonly payload: Uint8Array }
  | { readonly do: "close"; readonly code: number; readonly reason: string }
  /** To give up the transport without a Close frame. */
  | { readonly do: "drop" }
  /** To write bytes to the transport past its own WebSocket: what it would never send. */
  | { readonly do: "write"; readonly bytes: Uint8Array };

/** What the other side sees. */
export interface Sight {
  /** `header`: of the request X-Asked, or of the response X-Answered. */
  readonly open: { readonly subprotocol: string | undefined; readonly header: string | undefined };
  readonly message: { readonly payload: Payload };
  readonly ping: { readonly payload: Uint8Array };
  readonly pong: { readonly payload: Uint8Array };
  /** A client's opening handshake was answered with another status than 101. */
  readonly rejected: { readonly status: number; readonly body: string };
  /** It was, or it failed otherwise: some tell no more. */
  readonly refused: { readonly opened: false };
  readonly closed: { readonly code: number; readonly reason: string };
}

export type SightName = keyof Sight;

/** What an implementation may lack. A row of the table that needs it is not run with it. */
export type Feature =
  | "send fragments"
  | "send pings"
  | "see pings"
  | "see pongs"
  | "drop"
  | "write raw bytes"
  | "send headers"
  | "see response headers"
  | "see rejections"
  | "tell our faults"
  | "keep U+FEFF"
  | "limit messages";

/** How their server answers: the path of the URL says it, so that one server does for all tests. */
export type Manner = "/accept" | "/limit" | "/reject/401" | "/reject/403";

/** The most bytes that a message may have on their server at "/limit", or on their client with `limited`. */
export const THEIR_LIMIT = 1000;

/** The one of the offered subprotocols that every server here picks. */
export const CHOSEN = "chat.v2";

/** What their servers say in X-Answered. */
export const ANSWERED = "yes, indeed";

/** What their servers say where they reject. */
export const REFUSAL = "nobody is at home\n";

/** What one end wants of permessage-deflate (RFC 7692 7.1), on every implementation. */
export interface Deflate {
  readonly serverNoContextTakeover?: true;
  readonly clientNoContextTakeover?: true;
  readonly serverMaxWindowBits?: number;
  readonly clientMaxWindowBits?: number;
}

export interface ClientOptions {
  readonly url: string;
  readonly subprotocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether messages over `THEIR_LIMIT` are refused. */
  readonly limited?: boolean;
  /** What is offered of permessage-deflate. */
  readonly deflate?: Deflate;
}

export interface Implementation {
  readonly name: string;
  readonly lacks?: readonly Feature[];
  /** Makes a client that connects; undefined where it has none. */
  readonly connect?: (options: ClientOptions) => Promise<Remote>;
  /** A URL of their server, and its end of the one connection that will be made to there; undefined where it has none. */
  readonly listen?: (
    manner: Manner,
    deflate?: Deflate,
  ) => Promise<{ readonly url: string; readonly remote: Remote }>;
  /** Ends all that was started. */
  readonly stop: () => Promise<void> | void;
}

/** How long anything may take, in milliseconds: only a fault takes so long. */
const PATIENCE = 20_000;

/** One connection, at the other implementation's end. */
export class Remote {
  /** Tells it what to do. */
  do: (command: Command) => void;
  private readonly log: string[] = [];
  private readonly seen = new Map<SightName, unknown[]>();
  private readonly waiting = new Map<
    SightName,
    { resolve: (sight: never) => void; reject: (error: Error) => void }[]
  >();
  private failure: Error | undefined;

  constructor(command: (command: Command) => void) {
    this.do = command;
  }

  saw<Name extends SightName>(name: Name, sight: Sight[Name]): void {
    this.log.push(name);
    const waiter = this.waiting.get(name)?.shift();
    if (waiter === undefined) this.seen.set(name, [...(this.seen.get(name) ?? []), sight]);
    else waiter.resolve(sight as never);
  }

  /** Nothing more will be seen. */
  failed(error: Error): void {
    this.failure = error;
    for (const waiters of this.waiting.values()) for (const { reject } of waiters.splice(0)) reject(error);
  }

  /** The next sight of that name, whatever else is seen. */
  sight<Name extends SightName>(name: Name): Promise<Sight[Name]> {
    const seen = this.seen.get(name);
    if (seen !== undefined && seen.length > 0) return Promise.resolve(seen.shift() as Sight[Name]);
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(
          new Error(
            `the other side did not see: ${name}; it saw: ${this.log.slice(-20).join(", ") || "nothing"}`,
          ),
        );
      }, PATIENCE);
      const waiters = this.waiting.get(name) ?? [];
      this.waiting.set(name, waiters);
      waiters.push({
        resolve: (sight) => {
          clearTimeout(timer);
          resolve(sight);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
    });
  }
}
