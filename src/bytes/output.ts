import { dataOf, viewOf } from "./view.js";

/** From this many bytes on, what need not be changed is passed through instead of copied. */
export const PASS_FROM = 1024;
/** The least room that is made for one connection alone, and the most beyond what is asked for: as much as waits already. */
const OWN_ROOM = 4096;
const MOST_ROOM = 262_144;
/** Large enough that a slab's cost is shared by many small frames, small enough that a slow peer's few bytes pin little. */
const SLAB_SIZE = 32768;
/** What was taken last: all there was, a part of it, or a part that was written, as were all before it. */
const ALL = 0;
const PART = 1;
const WRITTEN_PART = 2;
/** Views of so many bytes, and more, are not kept. */
const VIEWS = 256;
/** What is longer than this is large. */
const LARGE = SLAB_SIZE / 2;
/** Nobody gets a room of more than so many times what it is for: a slow peer would keep the rest, too. */
const PINNED = 8;
/** Several messages find room in it; longer ones are kept, too, if they are not longer than that. */
const LEAST_SPARE = LARGE * PINNED;
const LARGEST_SPARE = 2_097_152;

/**
 * What is to be sent and has not been taken yet. Small pieces stand side by side in slabs that all connections share,
 * so that an idle one holds nothing; large ones are passed through. Nothing is rewritten once it was taken, unless whoever took it says
 * that it is `written`.
 */
export class Output {
  /** How many bytes are queued. */
  size = 0;
  /** Where to write after `reserve`. */
  target: Uint8Array = NO_BYTES;
  /** Of a `target` that is this output's alone, and no slab: what `data` gives. */
  private ownData: DataView | undefined;
  /** The run being written is `target[start, end)`; the chunks before it are closed. */
  private start = 0;
  private end = 0;
  private chunks: Uint8Array[] | undefined;
  /** The first chunk that was not taken. */
  private first = 0;
  /** Whether a part of what was queued is taken. */
  private isCut = false;

  /** Makes room for `length` bytes in `target`; returns the offset to write from. `commit` says how many were written. */
  reserve(length: number): number {
    const { end, target } = this;
    const goesOn = this.ownData !== undefined || (target === slab && end === slabUsed);
    return goesOn && end + length <= target.length ? end : this.reserveAnew(length);
  }

  private reserveAnew(length: number): number {
    if (this.size > 0 || length > LARGE) return this.reserveOwn(length);
    if (slabUsed + length > slab.length) beginSlab();
    this.target = slab;
    this.ownData = undefined;
    this.start = this.end = slabUsed;
    return slabUsed;
  }

  /** Room of its own, for what is large, and behind what waits already: with a second run others write in turns with this one. */
  private reserveOwn(length: number): number {
    this.closeRun();
    const room = Math.max(length, OWN_ROOM, this.chunks === undefined ? 0 : Math.min(this.size, MOST_ROOM));
    this.target = takeSpare(length, room) ?? new Uint8Array(room);
    this.ownData = dataOf(this.target);
    this.start = this.end = 0;
    return 0;
  }

  /** After `reserve`: what writes numbers into `target`. A method, as engines look into those first. */
  data(): DataView {
    return this.ownData ?? slabData;
  }

  /** Queues the `length` bytes that were written from the offset that `reserve` gave. */
  commit(length: number): void {
    this.end += length;
    this.size += length;
    if (this.ownData === undefined) slabUsed = this.end;
  }

  /** Queues a copy of `bytes`. */
  copy(bytes: Uint8Array): void {
    const offset = this.reserve(bytes.length);
    this.target.set(bytes, offset);
    this.commit(bytes.length);
  }

  /** Queues a text whose characters are bytes. */
  writeLatin1(text: string): void {
    const offset = this.reserve(text.length);
    for (let i = 0; i < text.length; i++) this.target[offset + i] = text.charCodeAt(i);
    this.commit(text.length);
  }

  /** Queues `bytes` themselves: they must not change until they are written. */
  pass(bytes: Uint8Array): void {
    const { start, end } = this;
    if (this.chunks === undefined && end > start) {
      this.chunks = [viewOf(this.target, start, end), bytes]; // a frame, mostly
      this.start = end;
    } else {
      this.closeRun();
      this.close(bytes);
    }
    this.size += bytes.length;
  }

  /** Queues `bytes` themselves where that is cheaper than a copy: they are many, or nothing waits before them. */
  passOrCopy(bytes: Uint8Array): void {
    if (bytes.length >= PASS_FROM || this.size === 0) this.pass(bytes);
    else this.copy(bytes);
  }

  /** Hands over what is queued, in order, up to `max` bytes; undefined where there is nothing. */
  take(max: number = Infinity): readonly Uint8Array[] | undefined {
    if (this.size === 0) return undefined;
    if (this.target !== slab || this.chunks !== undefined || this.size > max) return this.takeMany(max);
    // Mostly it is one run in the slab, and nothing else is to be cleared.
    const { start, end } = this;
    remember(this, start, end);
    this.target = NO_BYTES;
    this.start = this.end = this.size = 0;
    return [runOf(start, end)];
  }

  /** The same for whatever there is, which is not nothing. */
  private takeMany(max: number): readonly Uint8Array[] {
    const isAll = this.size <= max;
    // Of what was taken before somebody may need something still.
    const goesOn = !this.isCut || (takenBy === this && takenIs === WRITTEN_PART);
    if (!this.isCut) {
      const isLarge = this.target.length > LARGEST_SPARE; // what is remembered is kept until the next take
      takenRoom = this.ownData === undefined ? undefined : isLarge ? NO_BYTES : this.target;
      takenStart = this.start;
      takenEnd = this.target === slab ? this.end : -1;
      // Where a little of it went into the slab's end, and the rest elsewhere, a slab is begun: the next will be alike.
      if (closedBy === this && this.chunks?.[0] === closed && closed.length > LARGE) {
        takenStart = closedStart; // all it has in the slab
        takenEnd = closedStart + closed.length;
      }
    }
    takenBy = goesOn ? this : undefined;
    takenIs = isAll ? ALL : PART;
    if (isAll && this.chunks === undefined) {
      const run = viewOf(this.target, this.start, this.end);
      this.clear();
      return [run];
    }
    this.isCut = true;
    this.closeRun();
    const chunks = this.chunks as Uint8Array[];
    if (isAll) {
      const rest = this.first === 0 ? chunks : chunks.slice(this.first);
      this.clear();
      return rest;
    }
    const taken: Uint8Array[] = [];
    for (let room = max; room > 0;) {
      const chunk = chunks[this.first] as Uint8Array;
      const part = chunk.length <= room ? chunk : chunk.subarray(0, room);
      taken.push(part);
      room -= part.length;
      this.size -= part.length;
      if (part === chunk) chunks[this.first++] = NO_BYTES;
      else chunks[this.first] = chunk.subarray(part.length);
    }
    if (this.first >= 64 && this.first * 2 > chunks.length) {
      chunks.splice(0, this.first);
      this.first = 0;
    }
    return taken;
  }

  /**
   * What was taken last is needed by nobody any more. Once that is all there was, its room is used again; the slab's only if nothing was
   * written behind it, and then the view of it may be handed over again, too.
   */
  written(): void {
    if (takenBy !== this) return;
    if (takenIs !== ALL) {
      takenIs = WRITTEN_PART;
      return;
    }
    takenBy = undefined;
    if (takenRoom !== undefined) {
      keepSpare(takenRoom);
      takenRoom = undefined;
    }
    if (takenEnd === slabUsed) slabUsed = usedAgainFrom = takenStart;
  }

  /** Drops what is queued. */
  clear(): void {
    this.chunks = undefined;
    this.target = NO_BYTES;
    this.ownData = undefined;
    this.isCut = false;
    this.start = this.end = this.size = this.first = 0;
  }

  private closeRun(): void {
    if (this.end === this.start) return;
    const run = viewOf(this.target, this.start, this.end);
    this.close(run);
    if (this.target === slab) rememberClosed(this, run, this.start);
    this.start = this.end;
  }

  /** Most outputs have one chunk when they are taken: a list made of it has room for no more. */
  private close(chunk: Uint8Array): void {
    if (this.chunks === undefined) this.chunks = [chunk];
    else this.chunks.push(chunk);
  }
}

const NO_BYTES = new Uint8Array(0);

let slab: Uint8Array = new Uint8Array(0);
let slabData = /* @__PURE__ */ dataOf(slab);
let slabUsed = 0;

function beginSlab(): void {
  slab = new Uint8Array(SLAB_SIZE);
  slabData = dataOf(slab);
  slabUsed = 0;
  if (takenRoom === undefined) takenBy = undefined; // of the slab before nothing is used again
  takenEnd = -1;
  closedBy = undefined;
  closed = NO_BYTES;
  usedAgainFrom = -1;
  views.length = 0; // they keep that slab
  viewStarts.fill(-1);
}

/** Who took last, and is to say that it is written; and what it took. */
let takenBy: Output | undefined;
let takenIs: typeof ALL | typeof PART | typeof WRITTEN_PART = ALL;
/** The room of its own that what was taken is of, or NO_BYTES for one too large to be kept; undefined: it is no such room's. */
let takenRoom: Uint8Array | undefined;
/** Where its run in the slab begins and ends; an end of -1: nothing is of this slab. */
let takenStart = 0;
let takenEnd = 0;
/** Whose run of the slab was closed last, that, and where it begins: what follows is not in the slab, mostly. */
let closedBy: Output | undefined;
let closed: Uint8Array = NO_BYTES;
let closedStart = 0;

function rememberClosed(output: Output, run: Uint8Array, start: number): void {
  closedBy = output;
  closed = run;
  closedStart = start;
}

/** `output` took all it had, which was this run of the slab: what `takeMany` says of such, in short. */
function remember(output: Output, start: number, end: number): void {
  takenBy = output;
  takenIs = ALL;
  takenRoom = undefined;
  takenStart = start;
  takenEnd = end;
}

/** Where in the slab room was given back last. */
let usedAgainFrom = -1;
/**
 * The views of the slab that were handed over from such a place, by length, and where each begins. Whoever gives the room back has no need
 * of them any more, and a view takes longer to make than a small frame to write.
 */
const views: Uint8Array[] = [];
const viewStarts: Int32Array = /* @__PURE__ */ new Int32Array(VIEWS).fill(-1);

/** A view of `slab[start, end)`: the one that was there before, where its room was given back. */
function runOf(start: number, end: number): Uint8Array {
  const length = end - start;
  return viewStarts[length] === start ? (views[length] as Uint8Array) : viewAnew(start, end);
}

function viewAnew(start: number, end: number): Uint8Array {
  const length = end - start;
  const view = viewOf(slab, start, end);
  if (start === usedAgainFrom && length < VIEWS) {
    viewStarts[length] = start;
    views[length] = view;
  }
  return view;
}

/** A room for large messages that was written. It is used again, which spares what costs more than to fill it: the memory. */
let spare: Uint8Array = NO_BYTES;

function keepSpare(room: Uint8Array): void {
  if (room.length <= Math.max(LARGE, spare.length)) return;
  spare = room.length < LEAST_SPARE ? new Uint8Array(LEAST_SPARE) : room;
}

/** It, where it has `length` bytes, and a room of `wanted` bytes is large, and not much smaller. */
function takeSpare(length: number, wanted: number): Uint8Array | undefined {
  const room = spare;
  if (wanted <= LARGE || length > room.length) return undefined;
  const isTooMuch = wanted * PINNED < room.length;
  if (length <= LARGE && (isTooMuch || room.length > MOST_ROOM)) return undefined; // it is for what is large
  spare = NO_BYTES;
  return isTooMuch ? undefined : room; // or there is a smaller one soon, for what is sent now
}
