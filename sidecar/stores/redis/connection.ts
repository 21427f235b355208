// Keeps one link to a server open: connects again with growing pauses when it is lost, and lets requests fail at once
// while the server is known to be down. Knows no command, and not how a server is found.
import { type Clock, sleep, type Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { Address } from "./address.ts";
import { closedError, connectError, RedisError, unsentError } from "./errors.ts";
import type { RetryLimits } from "./fields.ts";
import { Link, type LinkOptions } from "./link.ts";

export interface ConnectionOptions {
  /** Of every link, but that `find` knows the address where it is given. */
  readonly link: LinkOptions;
  /** Finds the server and opens a link to it; null: it is at the address of `link`. */
  readonly find: ((signal: AbortSignal) => Promise<Link>) | null;
  /** Called each time that the server cannot be reached or a link to it is lost; null where nobody asks. */
  readonly onTrouble: (() => void) | null;
  /** What errors call it while there is no link. */
  readonly server: string;
  readonly retry: RetryLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const RECONNECT_FIRST_MS = 50;
const RECONNECT_LONGEST_MS = 2_000;
/** A replica that stays one is left this long before it is asked again. */
const RENEW_PAUSE_MS = 2_000;

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #leaving = new AbortController();
  readonly #extras = new Set<Link>();
  #current: Link | null = null;
  /** The attempt under way, while there is no link. */
  #attempt: Promise<Link> | null = null;
  /** Why the last attempt failed; null while none has failed since the link was lost. */
  #down: RedisError | null = null;
  #failures = 0;
  #timer: Timer | null = null;
  #renewedMs = Number.NEGATIVE_INFINITY;
  #isRetired = false;

  private constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Makes the first link, or rejects with a RedisError and leaves nothing open. */
  static async open(options: ConnectionOptions, signal: AbortSignal): Promise<Connection> {
    const connection = new Connection(options);
    connection.#use(await connection.#open(signal));
    return connection;
  }

  /** Begins to connect, and goes on until it succeeds or is closed. */
  static start(options: ConnectionOptions): Connection {
    const connection = new Connection(options);
    connection.#reconnect();
    return connection;
  }

  /** Of the server; without meaning where it has to be found. */
  get address(): Address {
    return this.#options.link.address;
  }

  /** The link, or null while there is none: then ask {@link next}. */
  get current(): Link | null {
    return this.#current;
  }

  /**
   * Waits for the attempt that follows a lost link, no longer than a request may wait for its answer. Rejects at once
   * when an attempt has failed and the server is thus known to be down.
   */
  next(signal: AbortSignal): Promise<Link> {
    if (this.#current !== null) return Promise.resolve(this.#current);
    if (this.#leaving.signal.aborted) return Promise.reject(this.#left());
    const attempt = this.#attempt;
    if (this.#down !== null || attempt === null) return Promise.reject(this.#down ?? this.#tooLate());
    return new Promise((resolve, reject) => {
      const giveUp = (): void => reject(this.#tooLate());
      const timer = this.#options.clock.after(this.#options.link.readMs, giveUp);
      signal.addEventListener("abort", giveUp, { once: true });
      const settle = (): void => {
        timer.cancel();
        signal.removeEventListener("abort", giveUp);
      };
      attempt.then(resolve, (error) => reject(this.#unlessRetired(error))).finally(settle);
    });
  }

  /** Waits before attempt number `made + 1`, or throws `error` when there is to be none. */
  async pause(error: unknown, made: number, signal: AbortSignal): Promise<void> {
    const { retry, clock, random } = this.#options;
    if (!(error instanceof RedisError)) throw error;
    if (error.reply === "READONLY") this.renew();
    if (!error.repeatable || made > retry.retries || this.#down !== null) throw error;
    const longestMs = Math.min(retry.maxMs, retry.minMs * 2 ** (made - 1));
    if (!(await sleep(clock, longestMs * (0.5 + random.fraction() / 2), signal))) throw error;
  }

  /** Opens one more link to the same server for whoever needs it to himself, and ends it when the store is closed. */
  async extra(readMs: number): Promise<Link> {
    const { signal } = this.#leaving;
    const { address } = this.#current ?? (await this.next(signal));
    const link = await Link.open({ ...this.#options.link, address, readMs }, signal).catch((error: unknown) => {
      throw this.#unlessRetired(error);
    });
    if (signal.aborted) {
      link.close("closed");
      throw this.#left();
    }
    this.#extras.add(link);
    void link.ended.then(() => this.#extras.delete(link));
    return link;
  }

  /** Ends everything at once; what is in flight rejects with `closed`. May be called again. */
  close(): void {
    if (this.#leaving.signal.aborted) return;
    this.#leaving.abort();
    this.#timer?.cancel();
    this.#current?.close("closed");
    this.#current = null;
    for (const link of this.#extras) link.close("closed");
  }

  /** Answers what was sent, then ends. Whoever comes later, or still waits for a link, may repeat it elsewhere. */
  retire(): void {
    if (this.#leaving.signal.aborted) return;
    this.#isRetired = true;
    this.#leaving.abort();
    this.#timer?.cancel();
    this.#current?.finish();
    this.#current = null;
    for (const link of this.#extras) link.finish();
  }

  #open(signal: AbortSignal): Promise<Link> {
    const { find, link } = this.#options;
    return find === null ? Link.open(link, signal) : find(signal);
  }

  #use(link: Link): void {
    this.#current = link;
    this.#attempt = null;
    this.#down = null;
    this.#failures = 0;
    void link.ended.then((ending) => {
      if (this.#current !== link || this.#leaving.signal.aborted) return;
      this.#current = null;
      // A server that hangs takes new connections too: nobody waits for it.
      if (ending === "silent") this.#down = connectError(link.server, new Error("it has stopped answering"));
      this.#options.log.warn("redis connection lost", { server: link.server, ending });
      this.#reconnect();
      this.#options.onTrouble?.();
    });
  }

  #reconnect(): void {
    const attempt = this.#open(this.#leaving.signal);
    this.#attempt = attempt;
    attempt.then(
      (link) => this.#connected(link),
      (error: unknown) => this.#failed(error),
    );
  }

  #connected(link: Link): void {
    if (this.#leaving.signal.aborted) {
      link.close("closed");
      return;
    }
    this.#use(link);
    this.#options.log.info("redis connected again", { server: link.server });
  }

  #failed(error: unknown): void {
    this.#attempt = null;
    if (this.#leaving.signal.aborted) return;
    const failure = connectError(this.#options.server, error);
    if (this.#failures === 0) this.#options.log.warn("redis cannot be reached", { error: failure.message });
    this.#down = failure;
    const { clock, random, onTrouble } = this.#options;
    onTrouble?.();
    const longestMs = Math.min(RECONNECT_LONGEST_MS, RECONNECT_FIRST_MS * 2 ** this.#failures++);
    this.#timer = clock.after(longestMs * (0.5 + random.fraction() / 2), () => this.#reconnect());
  }

  /**
   * The server has become a replica, or sentinels name another: there may be a new master by now. The old link serves
   * reads until the new one stands, then answers what it was asked and ends.
   */
  renew(): void {
    const { clock, log } = this.#options;
    const old = this.#current;
    if (old === null || clock.monotonicMs() - this.#renewedMs < RENEW_PAUSE_MS) return;
    this.#renewedMs = clock.monotonicMs();
    this.#open(this.#leaving.signal).then(
      (link) => {
        if (this.#leaving.signal.aborted || this.#current !== old) {
          link.close("closed");
          return;
        }
        this.#use(link);
        old.finish();
      },
      (error: unknown) => log.warn("redis has another master, which cannot be reached", { error: String(error) }),
    );
  }

  #tooLate(): RedisError {
    const text = `not connected to redis at ${this.#options.server} yet: connecting takes too long`;
    return new RedisError("unavailable", text);
  }

  /** An attempt that ended because this connection is no longer wanted says nothing about the store. */
  #unlessRetired(error: unknown): unknown {
    return this.#isRetired ? this.#left() : error;
  }

  #left(): RedisError {
    return this.#isRetired ? unsentError("broken", this.#options.server) : closedError();
  }
}
