import type { AbortSignalLike } from "../adapters/dial.js";

// What of the Web's globals these classes stand on, as far as it is used: the core's compiler settings know none of them.

/** An `Event`. */
export interface EventLike {
  readonly type: string;
  readonly target: unknown;
}

/** An `EventTarget` for the events in `Events`. */
export interface EventTargetFor<Events> {
  addEventListener<T extends keyof Events>(
    type: T,
    listener: ((event: Events[T]) => unknown) | null,
    options?: boolean | { readonly once?: boolean; readonly capture?: boolean },
  ): void;
  removeEventListener<T extends keyof Events>(
    type: T,
    listener: ((event: Events[T]) => unknown) | null,
    options?: boolean | { readonly capture?: boolean },
  ): void;
  dispatchEvent(event: EventLike): boolean;
}

/** A `Blob`. */
export interface BlobLike {
  readonly size: number;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** A `DOMException`. */
export interface DOMExceptionLike extends Error {
  readonly code: number;
}

/** A `ReadableStream`; cast it to your engine's type where you need all of it. */
export interface ReadableLike<T> extends AsyncIterable<T> {
  getReader(): {
    read(): Promise<{ readonly done: boolean; readonly value?: T | undefined }>;
    cancel(reason?: unknown): Promise<void>;
    releaseLock(): void;
    readonly closed: Promise<unknown>;
  };
  cancel(reason?: unknown): Promise<void>;
}

/** A `WritableStream`; cast it to your engine's type where you need all of it. */
export interface WritableLike<T> {
  getWriter(): {
    write(chunk: T): Promise<void>;
    close(): Promise<void>;
    abort(reason?: unknown): Promise<void>;
    releaseLock(): void;
    readonly ready: Promise<unknown>;
    readonly closed: Promise<unknown>;
    readonly desiredSize: number | null;
  };
  close(): Promise<void>;
  abort(reason?: unknown): Promise<void>;
}

/** A stream's controller. */
export interface ReadableController<T> {
  enqueue(chunk: T): void;
  close(): void;
  error(reason: unknown): void;
}

/** A stream's controller. */
export interface WritableController {
  /** Aborted with the stream; not every engine has it. */
  readonly signal?: AbortSignal | undefined;
  error(reason: unknown): void;
}

interface Engine {
  readonly AbortController: new () => { readonly signal: AbortSignal; abort(reason?: unknown): void };
  readonly Blob: (new (parts: readonly Uint8Array[]) => BlobLike) | undefined;
  readonly CloseEvent: (new (type: string, init: CloseEventInit) => EventLike) | undefined;
  readonly DOMException: new (message: string, name: string) => DOMExceptionLike;
  readonly Event: new (type: string) => EventLike;
  readonly EventTarget: new () => object;
  readonly MessageEvent: new (
    type: string,
    init: { readonly data: unknown; readonly origin: string },
  ) => EventLike;
  readonly ReadableStream: new <T>(
    source: {
      start(controller: ReadableController<T>): void;
      pull(): Promise<void>;
      cancel(reason: unknown): void;
    },
    strategy?: { readonly highWaterMark: number },
  ) => ReadableLike<T>;
  readonly URL: new (url: string) => { href: string; protocol: string; readonly host: string };
  readonly WritableStream: new <T>(sink: {
    start(controller: WritableController): void;
    write(chunk: T): Promise<void>;
    close(): Promise<void>;
    abort(reason: unknown): void;
  }) => WritableLike<T>;
  setTimeout(run: () => void): unknown;
}

/** An `AbortSignal`. */
export interface AbortSignal extends AbortSignalLike {
  readonly reason: unknown;
}

/** What a `CloseEvent` tells. */
export interface CloseEventInit {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

export const engine: Engine = globalThis as unknown as Engine;
