// Answers that clients have not taken: how many bytes of them may wait, for one connection and in all, and for how long.
// HTTP/2 lets a client ask without ever taking what it asked for. Knows neither messages nor the gRPC library.
import { constants } from "node:http2";
import type { Clock, Timer } from "#kit/clock.ts";

/** An HTTP/2 stream, as far as it matters here. */
export interface AnswerStream {
  /** Its connection; undefined once that is gone. */
  readonly session: object | undefined;
  readonly destroyed: boolean;
  close(code: number): void;
  once(event: "close", listener: () => void): unknown;
  off(event: "close", listener: () => void): unknown;
}

export interface UnreadLimits {
  readonly connectionBytesMax: number;
  readonly processBytesMax: number;
}

export const UNREAD_LIMITS: UnreadLimits = {
  connectionBytesMax: 64 * 1024 * 1024,
  processBytesMax: 256 * 1024 * 1024,
};
/** Answers up to this many bytes always have room: above all those that say that something was written. */
const SMALL_BYTES = 4096;
/** A client has this long to take an answer, as over HTTP, */
const STALLED_TIMEOUT_MS = 60_000;
/** and one second more for every so many bytes of it. */
const TAKEN_BYTES_PER_SEC = 64 * 1024;
/** How often is looked for answers that were not taken in time. */
const SWEEP_EVERY_MS = 5_000;

/** Bytes of an answer, held until they are let go. */
export interface Hold {
  readonly stream: AnswerStream;
  readonly connection: { bytes: number };
  readonly bytes: number;
  /** When it has to be taken, by the monotonic clock; infinite until the answer is being sent. */
  dueMs: number;
  readonly release: () => void;
}

export class UnreadAnswers {
  readonly #clock: Clock;
  readonly #limits: UnreadLimits;
  readonly #connections = new WeakMap<object, { bytes: number }>();
  readonly #holds = new Set<Hold>();
  #bytes = 0;
  #sweep: Timer | null = null;

  constructor(clock: Clock, limits: UnreadLimits = UNREAD_LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Of all answers that are held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether an answer may be sent. The only one of its connection, or of all, may be larger than the limit. */
  hasRoom(stream: AnswerStream, bytes: number): boolean {
    if (bytes <= SMALL_BYTES) return true;
    const { connectionBytesMax, processBytesMax } = this.#limits;
    return (
      fits(this.#connectionOf(stream).bytes, bytes, connectionBytesMax) && fits(this.#bytes, bytes, processBytesMax)
    );
  }

  /** Counts bytes, whether they have room or not, until `release` or the end of the stream. */
  hold(stream: AnswerStream, bytes: number): Hold {
    const connection = this.#connectionOf(stream);
    const release = (): void => this.release(hold);
    const hold: Hold = { stream, connection, bytes, dueMs: Number.POSITIVE_INFINITY, release };
    // Of a stream that is gone no end would be told any more.
    if (stream.destroyed) return hold;
    this.#holds.add(hold);
    hold.connection.bytes += bytes;
    this.#bytes += bytes;
    stream.once("close", release);
    return hold;
  }

  /** The answer goes out now: from here on its time counts. */
  send(hold: Hold): void {
    hold.dueMs = this.#clock.monotonicMs() + STALLED_TIMEOUT_MS + (hold.bytes / TAKEN_BYTES_PER_SEC) * 1000;
    this.#sweep ??= this.#clock.after(SWEEP_EVERY_MS, () => this.#endStalled());
  }

  /** May be called again. */
  release(hold: Hold): void {
    if (!this.#holds.delete(hold)) return;
    hold.stream.off("close", hold.release);
    hold.connection.bytes -= hold.bytes;
    this.#bytes -= hold.bytes;
  }

  #connectionOf({ session }: AnswerStream): { bytes: number } {
    if (session === undefined) return { bytes: 0 };
    const known = this.#connections.get(session);
    if (known !== undefined) return known;
    const connection = { bytes: 0 };
    this.#connections.set(session, connection);
    return connection;
  }

  #endStalled(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const hold of this.#holds) if (hold.dueMs <= nowMs) hold.stream.close(constants.NGHTTP2_CANCEL);
    this.#sweep = this.#holds.size === 0 ? null : this.#clock.after(SWEEP_EVERY_MS, () => this.#endStalled());
  }
}

function fits(held: number, bytes: number, bytesMax: number): boolean {
  return held === 0 || held + bytes <= bytesMax;
}
