import { Input } from "./bytes/input.js";
import { Output } from "./bytes/output.js";
import { portableUtf8 } from "./bytes/utf8.js";
import { viewOf } from "./bytes/view.js";
import type { Phase, Role, Signal } from "./closing.js";
import { phaseAfter, PHASES } from "./closing.js";
import type { MessageCoding, MessageDecoder, MessageEncoder } from "./coding.js";
import { requireBytes, UsageError } from "./errors.js";
import type { ClosingEvent, ConnectionEvent, OpenEvent } from "./events.js";
import {
  BINARY,
  CLOSE,
  FIN,
  MAX_CONTROL_PAYLOAD,
  MAX_HEADER_SIZE,
  PING,
  PONG,
  RSV1,
  TEXT,
} from "./frame/header.js";
import type { FrameReader } from "./frame/reader.js";
import { FrameWriter } from "./frame/writer.js";
import type { Close } from "./message/close.js";
import { ABNORMAL, decodeClose, encodeClose, NO_STATUS, requireClose } from "./message/close.js";
import { writeCoded } from "./message/coded.js";
import type { PreparedMessage, SendOptions } from "./message/prepared.js";
import { MessageReader } from "./message/reader.js";
import { encodeUtf8, requireUtf8 } from "./message/text.js";
import { MessageWriter } from "./message/writer.js";
import { PingsOut } from "./pings.js";
import type { Cause, Rule, RuleName, RuleTable } from "./rules.js";
import { causeIn, OPEN_RULES } from "./rules.js";
import type { Options } from "./settings.js";
import { Settings } from "./settings.js";
import { Keepalive } from "./timers.js";

/** How many pongs may wait to be taken before only the latest ping is answered (RFC 6455 5.5.3). */
const MAX_WAITING_PONGS = 64;

/** Where output never empties: once this many bytes left, as many pongs again may wait. */
const MAX_WAITING_PONGS_SIZE = MAX_WAITING_PONGS * (MAX_HEADER_SIZE + MAX_CONTROL_PAYLOAD);

/**
 * One side of a WebSocket connection, from the bytes that arrived to events, and from commands to the bytes to send. It
 * never touches a socket, a clock or a timer. Built by itself it is open at once, for transports with a handshake of their
 * own; `ServerConnection` and `ClientConnection` begin with the opening handshake.
 *
 * After each call that hands something in, take events until there are none, then the output, then look at `transport`,
 * `wantsInput` and `deadline`. Taking output may bring the last event.
 */
export class Connection {
  readonly role: Role;
  /** @internal */
  protected readonly settings: Settings;
  /** @internal */
  protected readonly input: Input = new Input();
  /** @internal */
  protected readonly output: Output;
  /** @internal */
  protected phase: Phase;
  /** What the clock said when it was last read. NaN without one, as is every time that comes of it: none is ever reached. */
  private now = NaN;
  /** Whether time may have passed since: events are parsed without a look at the clock. */
  private clockIsOld = false;
  /** When the phase's time is over. */
  private phaseDeadline = Infinity;
  /** Whether the phase began by an old clock: its time begins anew with the next look. */
  private timerIsOld = false;
  private level: "keep" | "end" | "destroy" = "keep";
  /** Events that did not come out of parsing. */
  private waiting: ConnectionEvent[] | undefined;
  private cause: Cause | undefined;
  private closedTold = false;
  /** The phase in which output was last taken; of an open connection it need not be told. */
  private takenIn: Phase | undefined;
  private discarded = 0;

  // What is open. The reader comes with the first byte, the writer with the first frame.
  private reader: MessageReader | undefined;
  private lazyWriter: FrameWriter | undefined;
  /** What was agreed for messages with RSV1. What coders there are keep the window of their direction. */
  private coding: MessageCoding | undefined;
  private encoder: MessageEncoder | undefined;
  private decoder: MessageDecoder | undefined;
  private keepalive: Keepalive | undefined;
  /** @internal The message in fragments that is being sent. */
  messageWriter: MessageWriter | undefined;
  private closeReceived: Close | undefined;
  private closeSent: Close | undefined;
  private waitingPongs = 0;
  /** Bytes taken since they were counted from 0, where output was left behind. */
  private takenSincePongs = 0;
  /** The payload of the latest ping that is not answered yet, as too many pongs wait. */
  private latestPing: Uint8Array | undefined;
  private pings: PingsOut | undefined;

  /**
   * A connection that is open already, after a handshake that was not ours. (`phase` is for the subclasses.)
   * @throws {UsageError} "bad-option", or "no-entropy" for a client whose platform has no `random`
   */
  constructor(role: Role, options: Options | Settings, phase: Phase = PHASES.open) {
    this.role = role;
    const settings = Settings.of(options);
    this.settings = settings;
    this.output = new Output();
    if (role === "client" && settings.platform.random === undefined) {
      throw new UsageError(
        "no-entropy",
        "a client needs the platform's `random` for its masking keys (RFC 6455 10.3)",
      );
    }
    this.phase = phase;
    this.readClock();
    this.startTimer();
    if (phase === PHASES.open)
      this.opened({ type: "open", subprotocol: undefined, extensions: [], headers: undefined });
  }

  // Looking

  get state(): "connecting" | "open" | "closing" | "closed" {
    return this.level === "destroy" && this.phase !== PHASES.closed ? "closing" : this.phase.state;
  }

  /**
   * What is to be done with the transport, a level that only moves rightwards. "end": end its write side once all output
   * is written, and go on reading. "destroy": at once, dropping output.
   */
  get transport(): "keep" | "end" | "destroy" {
    return this.level;
  }

  /** Bytes that are queued and have not been taken. */
  get outputSize(): number {
    return this.output.size;
  }

  /** Whether to read the transport. False while `highWaterMark` bytes are unparsed, as nobody takes events, and once closed. */
  get wantsInput(): boolean {
    return this.phase.input !== "none" && !this.input.ended && this.input.size < this.settings.highWaterMark;
  }

  /** When to call `handleTimeout`, on the platform's clock; undefined: never. It may move later silently. */
  get deadline(): number | undefined {
    const deadline =
      this.phase === PHASES.open ? this.keepalive?.deadline(this.wantsInput) : this.phaseDeadline;
    return this.level !== "destroy" && deadline !== undefined && deadline < Infinity ? deadline : undefined;
  }

  // In

  /**
   * Takes bytes that arrived. What they tell comes from `nextEvent`. `owned`: they are the connection's from now on, to be kept
   * and rewritten; else they are copied. Too late, they are dropped.
   * @throws {UsageError} "bad-argument", or "bad-state" after `receiveEnd`
   */
  receive(bytes: Uint8Array, owned = false): void {
    requireBytes(bytes, "what is received");
    const { reader, input } = this;
    if (reader === undefined || input.ended || bytes.length === 0) {
      this.push(bytes, owned);
      return;
    }
    this.heard(); // first: should the clock throw, nothing was taken
    if (!reader.gap.fill(bytes)) input.push(bytes, owned);
  }

  /** The peer ended the stream in order (a FIN, an END_STREAM), after the bytes before it. */
  receiveEnd(): void {
    this.readClock();
    this.input.ended = true;
  }

  /**
   * Nothing can be written any more: a reset, a broken pipe, a transport that could not be had, or one that was dropped here
   * (`by` "local"). What came before it is still read.
   */
  transportLost(error?: unknown, by: "transport" | "local" = "transport"): void {
    if (this.phase === PHASES.closed || this.level === "destroy") return;
    this.readClock();
    this.giveUp(by, "transport-lost", error);
  }

  /** To be called at `deadline`. Early or repeated calls do nothing. */
  handleTimeout(): void {
    if (this.deadline === undefined) return;
    this.readClock();
    if (this.phase === PHASES.open) {
      const due = this.keepalive?.check(this.now, this.wantsInput);
      if (due === "ping") {
        this.sendPing(NO_BYTES);
        this.keepalive?.pinged(this.now);
      }
      if (due === "gone") this.giveUp("peer", "pong-timeout");
    } else if (this.now >= this.phaseDeadline) {
      this.timedOut();
    }
  }

  // Out

  /** The next event; undefined: bytes are needed, or an answer to a request. Whatever the peer sent, it does not throw. */
  nextEvent(): ConnectionEvent | undefined {
    const { reader } = this;
    if (reader !== undefined && this.waiting === undefined) {
      if (reader.isStarved() && this.isUndisturbed()) {
        this.clockIsOld = true;
        return undefined;
      }
      const message = reader.next();
      if (message !== undefined) return message;
    }
    return this.nextOtherEvent();
  }

  /** The events that are there now. Leaving the loop closes nothing. */
  *events(): Generator<ConnectionEvent, void, undefined> {
    for (let event = this.nextEvent(); event !== undefined; event = this.nextEvent()) yield event;
  }

  /**
   * Takes what is to be sent, in order; undefined: nothing. Call it only while the transport can take more: taking says
   * that it can, and that what was taken before has moved. Where the transport queues any amount, take `max` bytes at a time.
   * What was taken is never rewritten, unless you say that it may be (`outputWritten`). The chunks are views of buffers that
   * connections share: write them or copy them, but do not transfer their buffers.
   * @throws {UsageError} "bad-argument" for a `max` that is neither a whole number above 0 nor Infinity
   */
  takeOutput(max: number = Infinity): readonly Uint8Array[] | undefined {
    if (max !== Infinity) requireMax(max);
    const { output } = this;
    if (
      this.phase !== PHASES.open ||
      this.timesOutput() ||
      this.latestPing !== undefined ||
      output.size > max
    ) {
      return this.takeInTime(max);
    }
    this.waitingPongs = this.takenSincePongs = 0;
    return output.take();
  }

  /**
   * Says that nobody needs what was taken last any more: the system has a copy of all of it. Its memory is used again then, and the
   * chunks themselves may be, which spares a busy server most of what it would allocate. It need not be called.
   */
  outputWritten(): void {
    this.output.written();
  }

  // Commands

  /**
   * Sends a text message: a string, lone surrogates as U+FFFD (RFC 6455 8.1), or bytes in UTF-8, which are passed through as by
   * `sendBinary`.
   * @returns false where it is too late, and nothing is sent
   * @throws {UsageError} "bad-argument", "bad-text", or "bad-state" before `open` and inside a fragmented message
   */
  sendText(text: string | Uint8Array, options?: SendOptions): boolean {
    if (typeof text !== "string") return this.sendUtf8(text, options);
    if (!this.maySend()) return false;
    if (this.coding === undefined) this.writer.writeString(FIN | TEXT, text);
    else this.writeTextCoded(text, this.coding, options);
    return true;
  }

  /**
   * Sends a binary message. A server's of 1 KiB or more is passed through: do not change it until it is written.
   * @returns false where it is too late, and nothing is sent
   * @throws {UsageError} "bad-argument", or "bad-state" before `open` and inside a fragmented message
   */
  sendBinary(bytes: Uint8Array, options?: SendOptions): boolean {
    requireBytes(bytes, "a binary message");
    if (!this.maySend()) return false;
    this.write(BINARY, bytes, options);
    return true;
  }

  /**
   * Sends a message that was framed for many.
   * @returns false where it is too late, and nothing is sent
   * @throws {UsageError} "bad-argument", or "bad-state" before `open` and inside a fragmented message
   */
  sendPrepared(message: PreparedMessage): boolean {
    // Not `instanceof`: who prepares no messages has no need of the class.
    if (typeof (message as PreparedMessage | null | undefined)?.codedWith !== "function") {
      throw new UsageError("bad-argument", "sendPrepared() takes a PreparedMessage");
    }
    if (!this.maySend()) return false;
    const coded = this.coding && message.codedWith(this.coding, this);
    if (coded !== undefined) this.encoder?.forget(); // RFC 7692 7.1.1: the peer's window has something else than ours now
    const { frame, payload } = coded ?? message;
    // Not by a writer: a broadcast costs what it touches of each peer, and one that is sent nothing else has none.
    if (this.role === "server") this.output.passOrCopy(frame);
    else this.writer.writeChecked(frame[0] as number, payload);
    return true;
  }

  /**
   * Begins a message that is sent in fragments. No other message may be sent until it ends; control frames may.
   * @returns a writer; an inert one where it is too late
   * @throws {UsageError} "bad-argument", or "bad-state" before `open` and inside another fragmented message
   */
  startMessage(kind: "text" | "binary", options?: SendOptions): MessageWriter {
    if (kind !== "text" && kind !== "binary") {
      throw new UsageError("bad-argument", `a message must be text or binary, not ${String(kind)}`);
    }
    if (!this.maySend()) return new MessageWriter(kind, this);
    // By default not compressed: some clients fail on compressed fragments.
    const encoder =
      this.coding !== undefined && options?.compress === true ? this.requireEncoder(this.coding) : undefined;
    this.messageWriter = new MessageWriter(kind, this, encoder);
    return this.messageWriter;
  }

  /**
   * Sends a ping; the pong that answers it tells the round-trip time.
   * @returns false where it is too late, and nothing is sent
   * @throws {UsageError} "bad-argument", "payload-too-long" over 125 bytes, or "bad-state" before `open`
   */
  ping(payload: Uint8Array = NO_BYTES): boolean {
    requireControlPayload(payload);
    if (!this.maySendControl()) return false;
    this.sendPing(payload);
    return true;
  }

  /**
   * Sends a pong that nobody asked for (RFC 6455 5.5.3); pings are answered without it.
   * @returns false where it is too late, and nothing is sent
   * @throws {UsageError} as `ping`
   */
  pong(payload: Uint8Array = NO_BYTES): boolean {
    requireControlPayload(payload);
    if (!this.maySendControl()) return false;
    this.writer.writeChecked(FIN | PONG, payload);
    return true;
  }

  /**
   * Starts the closing handshake (RFC 6455 7.1.2). Messages are delivered until the peer's Close. Before `open` it gives
   * the connection up. A fragmented message being sent is cut off.
   * @returns false where it is too late, and nothing is sent
   * @throws {UsageError} "bad-close-code" for a code that may not be sent (RFC 6455 7.4), "bad-reason" for a reason without
   * a code, over 123 bytes of UTF-8, or with CR, LF or NUL in it
   */
  close(code?: number, reason = ""): boolean {
    requireClose(code, reason);
    this.readClock();
    if (this.level === "destroy") return false;
    if (this.phase.state === "connecting") {
      this.giveUp("local", "aborted");
      this.step("aborted");
      return true;
    }
    if (!this.maySendControl()) return false;
    this.sendClose({ code: code ?? NO_STATUS, reason });
    this.blame("local", "closed");
    this.step("closeSent");
    return true;
  }

  // For the opening handshakes

  /** @internal The next event of the opening handshake. */
  protected nextOpeningEvent?(): ConnectionEvent | undefined;

  /** @internal The phase took too long. */
  protected timedOut(): void {
    // Where it ends for another reason already, that stays.
    this.giveUp("peer", this.phase === PHASES.head ? "handshake-timeout" : "close-timeout");
  }

  /** @internal The opening handshake succeeded, or there was none. */
  protected opened(event: OpenEvent, coding?: MessageCoding): void {
    this.tell(event);
    this.coding = coding;
    const { timeouts } = this.settings;
    if (timeouts.ping < Infinity) this.keepalive = new Keepalive(timeouts, this.now);
    this.step("opened");
  }

  /** @internal Adds an event that parsing did not bring. */
  protected tell(event: ConnectionEvent): void {
    (this.waiting ??= []).push(event);
  }

  /** @internal Says why the connection ends, unless something said so before. A regular closing gives way to what spoils it. */
  protected blame(by: Cause["by"], rule: RuleName, offset?: number, error?: unknown): Cause {
    const cause = causeIn(this.rules, by, rule, offset, error);
    if (this.cause === undefined || (this.cause.rule === "closed" && !this.clean)) this.cause = cause;
    return cause;
  }

  /** @internal What it can report. */
  protected get rules(): RuleTable {
    return OPEN_RULES;
  }

  /** @internal The peer broke a rule, or the platform failed: fails the connection (RFC 6455 7.1.7). */
  protected fail(rule: RuleName, offset?: number): ClosingEvent {
    const { code, says } = this.rules[rule] as Rule;
    const cause = this.blame(rule === "platform-failed" ? "local" : "peer", rule, offset);
    this.sendClose({ code, reason: says });
    this.step("failed");
    return { type: "closing", code: code < 1000 ? ABNORMAL : code, reason: says, cause }; // below is an HTTP status
  }

  /** @internal Goes on to the phase that follows. */
  protected step(signal: Signal): void {
    this.phase = phaseAfter(this.phase, signal, this.role);
    if (this.level === "destroy" && !this.readsOn) this.phase = PHASES.closed;
    const { phase } = this;
    if (phase.transport === "end" && this.level === "keep" && this.settings.halfClose) this.level = "end";
    if (phase === PHASES.closed) {
      this.output.clear();
      if (!this.settings.halfClose) this.level = "destroy";
    }
    if (phase.input === "discard" || phase.input === "none") {
      this.decoder ??= this.reader?.decoder;
      this.reader = undefined;
      this.encoder?.release();
      this.decoder?.release();
      this.coding = this.encoder = this.decoder = undefined;
      this.messageWriter = this.pings = this.keepalive = this.latestPing = undefined;
    }
    this.startTimer();
    if (phase.input === "discard") this.discard(this.input.clear());
  }

  /** Gives the transport up, and says why. */
  private giveUp(by: Cause["by"], rule: RuleName, error?: unknown): void {
    this.blame(by, rule, undefined, error);
    this.destroy();
  }

  /** Gives the transport up. What it brought before is still read. */
  private destroy(): void {
    this.level = "destroy";
    if (this.output.size > 0) this.closeSent = undefined; // nothing follows a Close, so that it was not taken
    this.output.clear();
    this.messageWriter = undefined;
    this.input.ended = true;
    if (!this.readsOn) this.step("destroyed");
  }

  /** Whether what was received is worth reading although nothing can be written any more. */
  private get readsOn(): boolean {
    return this.phase.input === "frames" || (this.phase.input === "head" && this.role === "client");
  }

  /** Whether it matters when bytes come in: reading the clock for each chunk is not free. */
  private timesInput(): boolean {
    return this.keepalive !== undefined || this.timesOutput();
  }

  /** Whether it matters when output is taken: that of a ping is. */
  private timesOutput(): boolean {
    return this.pings !== undefined || this.timerIsOld;
  }

  /** @internal */
  protected readClock(): void {
    const { clock } = this.settings.platform;
    if (clock === undefined) return;
    this.now = clock();
    this.clockIsOld = false;
    if (this.timerIsOld) this.startTimer();
  }

  // Time

  private startTimer(): void {
    const { timer } = this.phase;
    this.timerIsOld = this.clockIsOld;
    this.phaseDeadline = timer === undefined ? Infinity : this.now + this.settings.timeouts[timer];
  }

  // Reading

  /** `receive` by way of the input. */
  private push(bytes: Uint8Array, owned: boolean): void {
    if (this.phase === PHASES.closed || this.level === "destroy") return;
    if (this.input.ended) throw new UsageError("bad-state", "nothing is received after receiveEnd()");
    if (bytes.length === 0) return;
    this.heard();
    if (this.phase.input === "discard") this.discard(bytes.length);
    else this.input.push(bytes, owned);
  }

  /** Bytes arrived. */
  private heard(): void {
    if (this.phase !== PHASES.open || this.timesInput()) this.readClock();
    this.keepalive?.heard(this.now);
  }

  private nextOf(waiting: ConnectionEvent[]): ConnectionEvent | undefined {
    const event = waiting.shift();
    if (waiting.length === 0) this.waiting = undefined; // an idle connection holds no list
    return event;
  }

  /** Goes on where there are no frames to read. */
  private settle(): ConnectionEvent | undefined {
    for (;;) {
      const { phase } = this;
      if (phase === PHASES.closed) {
        if (this.closedTold) return undefined;
        this.closedTold = true;
        const close = this.closeReceived ?? { code: ABNORMAL, reason: "" }; // RFC 6455 7.1.5
        const cause = this.cause as Cause; // nothing ends a connection without blame
        return { type: "closed", ...close, clean: this.clean, sent: this.closeSent, cause };
      }
      if (phase === PHASES.head) {
        const event = this.nextOpeningEvent?.();
        if (event !== undefined) return event;
      }
      if (this.waiting !== undefined) return this.nextOf(this.waiting);
      if (phase === PHASES.ended) {
        if (this.output.size > 0 || this.lingers) return undefined;
        this.step("drained");
      } else {
        if (this.keepalive?.dead === true) return this.fail("pong-timeout");
        if (phase === PHASES.ending && this.lingersInVain) {
          this.destroy();
          continue;
        }
        if (phase === PHASES.deciding || !this.input.ended) return undefined;
        if (phase.input === "frames") this.blame("peer", "no-close", this.input.offset);
        if (phase.input === "head") this.blame("peer", "no-handshake", this.input.offset);
        this.step("peerEnded");
      }
    }
  }

  /** Whether what was taken is given time to be written: the transport can only be destroyed, and that drops it. */
  private get lingers(): boolean {
    return (
      !this.settings.halfClose &&
      this.phaseDeadline < Infinity &&
      !this.clean &&
      this.takenIn?.transport === "end"
    );
  }

  /** Whether to go at once in place of an end: the transport cannot be half closed, and no clock says how long to wait. */
  private get lingersInVain(): boolean {
    return !this.settings.halfClose && Number.isNaN(this.now) && this.output.size === 0;
  }

  /** `nextEvent` for all but what the reader tells at once. */
  private nextOtherEvent(): ConnectionEvent | undefined {
    if (this.waiting !== undefined) return this.nextOf(this.waiting);
    this.clockIsOld = true;
    if (this.phase.input === "frames") {
      const event = this.nextFrameEvent();
      if (event !== undefined) return event;
      if (this.isUndisturbed()) return undefined;
    }
    return this.settle();
  }

  /** Whether it is open, and nothing but frames can end that. */
  private isUndisturbed(): boolean {
    return this.phase === PHASES.open && !this.input.ended && this.keepalive?.dead !== true;
  }

  /** Goes on where the reader gave no message, or where there is none. */
  private nextFrameEvent(): ConnectionEvent | undefined {
    let { reader } = this;
    if (reader === undefined) {
      const { input } = this;
      if (input.position === input.end && !input.advance()) return undefined; // a quiet connection pins no chunk
      reader = this.reader = this.takeReader();
      const message = reader.next();
      if (message !== undefined) return message;
    }
    if (reader.atControl) {
      const event = this.readControl(reader.frames);
      reader.passControl(); // now that it is answered: `random` may have thrown
      return event;
    }
    if (reader.fault !== undefined) return this.fail(reader.fault, reader.faultOffset);
    if (reader.atRest) {
      this.decoder = reader.decoder;
      reader.decoder = undefined;
      this.settings.readers[this.role] = reader;
      this.reader = undefined;
    }
    return undefined;
  }

  /** A reader: one that another connection has done with, if there is. An idle connection holds none. */
  private takeReader(): MessageReader {
    const { readers } = this.settings;
    const reader = readers[this.role] ?? this.createReader();
    readers[this.role] = undefined;
    reader.frames.input = this.input;
    reader.frames.rsv1Allowed = this.coding !== undefined;
    reader.coding = this.coding;
    reader.decoder = this.decoder;
    return reader;
  }

  private createReader(): MessageReader {
    const { limits, platform, streaming, text } = this.settings;
    return new MessageReader({
      masked: this.role === "server",
      maxFrameSize: limits.frame,
      maxMessageSize: limits.message,
      mask: platform.mask,
      maskInto: platform.maskInto,
      utf8: platform.utf8,
      streaming,
      text,
    });
  }

  private readControl(frame: FrameReader): ConnectionEvent {
    const { opcode, offset } = frame;
    const payload = viewOf(frame.bytes, frame.start, frame.end);
    if (opcode === CLOSE) return this.readClose(payload, offset);
    if (opcode === PONG) {
      const roundTripTime = this.pings?.answered(payload, this.now);
      if (this.pings?.none === true) this.pings = undefined;
      return { type: "pong", payload, roundTripTime };
    }
    // RFC 6455 5.5.2: answered as soon as may be, inside a message too, but not after our Close.
    if (this.state === "open") {
      if (this.waitingPongs < MAX_WAITING_PONGS) {
        this.writer.writeChecked(FIN | PONG, payload);
        this.waitingPongs++;
      } else {
        this.latestPing = new Uint8Array(payload); // RFC 6455 5.5.3
      }
    }
    return { type: "ping", payload };
  }

  private readClose(payload: Uint8Array, offset: number): ClosingEvent {
    const close = decodeClose(payload);
    if ("rule" in close) return this.fail(close.rule, offset + close.index);
    this.sendClose(close); // RFC 6455 5.5.1: the code is echoed; so is the reason
    this.closeReceived = close;
    const cause = this.blame("peer", "closed", offset);
    this.step("closeReceived");
    return { type: "closing", ...close, cause };
  }

  // Closing

  private get clean(): boolean {
    return this.closeSent !== undefined && this.closeReceived !== undefined; // RFC 6455 7.1.4
  }

  /** Sends a Close where one can be sent, and none was. */
  private sendClose(close: Close): void {
    if (this.state !== "open") return;
    this.answerLatestPing(); // nothing follows a Close (RFC 6455 5.5.1)
    this.writer.writeChecked(FIN | CLOSE, encodeClose(close));
    this.messageWriter = undefined;
    this.closeSent = close;
  }

  private answerLatestPing(): void {
    if (this.latestPing === undefined) return;
    this.writer.writeChecked(FIN | PONG, this.latestPing);
    this.latestPing = undefined;
  }

  /** Counts bytes that nobody reads; too many end the patience. */
  private discard(count: number): void {
    this.discarded += count;
    if (this.discarded > this.settings.limits.discard) this.destroy();
  }

  // Sending

  /** `takeOutput` where it matters when that is, or what is taken. */
  private takeInTime(max: number): readonly Uint8Array[] | undefined {
    if (this.output.size === 0) {
      if (this.timerIsOld) this.readClock();
      return undefined;
    }
    if (this.phase !== PHASES.open || this.timesOutput()) this.readClock();
    this.takenIn = this.phase;
    // Output that moves is life, too: what is waited for comes after it.
    if (this.phase.state === "closing") this.startTimer();
    if (this.output.size <= max || (this.takenSincePongs += max) >= MAX_WAITING_PONGS_SIZE) {
      this.waitingPongs = this.takenSincePongs = 0;
      this.answerLatestPing();
    }
    const all = this.output.size <= max;
    // The ping that keepalive waits for is one of them, and all but few connections have none out.
    if (this.pings !== undefined) {
      this.keepalive?.taken(this.now, all);
      this.pings.taken(Math.min(this.output.size, max), this.now);
    }
    return this.output.take(max);
  }

  /** @internal Made when there is something to send. */
  get writer(): FrameWriter {
    return (this.lazyWriter ??= this.createWriter());
  }

  private createWriter(): FrameWriter {
    const { random, utf8, mask, maskInto } = this.settings.platform;
    return new FrameWriter({
      random: this.role === "client" ? random : undefined,
      utf8,
      mask,
      maskInto,
      output: this.output,
    });
  }

  /** `sendText` of bytes. */
  private sendUtf8(text: Uint8Array, options?: SendOptions): boolean {
    requireUtf8(text, this.settings.platform.utf8 ?? portableUtf8);
    if (!this.maySend()) return false;
    this.write(TEXT, text, options);
    return true;
  }

  /** `sendText` where coding was agreed on. */
  private writeTextCoded(text: string, coding: MessageCoding, options: SendOptions | undefined): void {
    if (options?.compress === false) this.writer.writeString(FIN | TEXT, text);
    else this.writeCoded(TEXT, this.utf8Of(text), coding, options);
  }

  /** Writes a message in bytes, coded where that was agreed on and is wanted. */
  private write(opcode: number, payload: Uint8Array, options: SendOptions | undefined): void {
    const { coding } = this;
    if (coding === undefined) this.writer.writeChecked(FIN | opcode, payload);
    else this.writeCoded(opcode, payload, coding, options);
  }

  /** `write` where coding was agreed on. */
  private writeCoded(
    opcode: number,
    payload: Uint8Array,
    coding: MessageCoding,
    options: SendOptions | undefined,
  ): void {
    if (options?.compress ?? coding.codes(payload.length)) {
      writeCoded(this.writer, FIN | RSV1 | opcode, this.requireEncoder(coding), payload, true); // RFC 7692 6.1
    } else {
      this.writer.writeChecked(FIN | opcode, payload);
    }
  }

  /** @internal */
  requireEncoder(coding: MessageCoding): MessageEncoder {
    return (this.encoder ??= coding.createEncoder());
  }

  /** @internal */
  utf8Of(text: string): Uint8Array {
    return encodeUtf8(text, this.settings.platform.utf8);
  }

  /** Sends a ping, and remembers it where there is a clock to time it by. */
  private sendPing(payload: Uint8Array): void {
    this.writer.writeChecked(FIN | PING, payload);
    if (!Number.isNaN(this.now)) (this.pings ??= new PingsOut()).queued(payload, this.output.size);
  }

  /** Whether a whole message may be sent now; false: too late. */
  private maySend(): boolean {
    const nothingSpecial =
      this.phase === PHASES.open &&
      this.messageWriter === undefined &&
      this.output.size <= this.settings.limits.output;
    return nothingSpecial ? this.level !== "destroy" : this.maySendDespite();
  }

  /** `maySend` where something may stand in the way. */
  private maySendDespite(): boolean {
    if (!this.maySendControl()) return false;
    if (this.messageWriter !== undefined) {
      throw new UsageError("bad-state", "a message in fragments is being sent: end() it first");
    }
    this.giveUp("peer", "output-limit"); // nothing else is left
    return false;
  }

  /** @internal */
  boundOutput(): void {
    if (this.output.size > this.settings.limits.output) this.giveUp("peer", "output-limit");
  }

  private maySendControl(): boolean {
    if (this.phase === PHASES.open) return this.level !== "destroy";
    if (this.phase.state === "connecting" && this.level !== "destroy") {
      throw new UsageError("bad-state", "not open yet: wait for the `open` event");
    }
    return false;
  }
}

const NO_BYTES = new Uint8Array(0);

function requireMax(max: number): void {
  if (Number.isInteger(max) && max > 0) return;
  throw new UsageError("bad-argument", `max must be a number from 1 up to Infinity, not ${String(max)}`);
}

function requireControlPayload(payload: unknown): asserts payload is Uint8Array {
  requireBytes(payload, "a control frame's payload");
  if (payload.length > MAX_CONTROL_PAYLOAD) {
    throw new UsageError(
      "payload-too-long",
      `a control frame's payload has at most 125 bytes (RFC 6455 5.5), not ${payload.length}`,
    );
  }
}
