// Keeps one link to the server open: connects again with growing pauses when it is lost, and lets requests fail at once
// while the server is known to be down. Knows no command.
import { type Clock, sleep, type Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import { formatAddress } from "./address.ts";
import { closedError, connectError, RedisError } from "./errors.ts";
import type { RetryLimits } from "./fields.ts";
import { Link, type LinkOptions } from "./link.ts";

export interface ConnectionOptions {
  readonly link: LinkOptions;
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

  private constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Makes the first link, or rejects with a RedisError and leaves nothing open. */
  static async open(options: ConnectionOptions, signal: AbortSignal): Promise<Connection> {
    const connection = new Connection(options);
    connection.#use(await Link.open(options.link, signal));
    return connection;
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
    if (this.#leaving.signal.aborted) return Promise.reject(closedError());
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
      attempt.then(resolve, reject).finally(settle);
    });
  }

  /** Waits before attempt number `made + 1`, or throws `error` when there is to be none. */
  async pause(error: unknown, made: number, signal: AbortSignal): Promise<void> {
    const { retry, clock, random } = this.#options;
    if (!(error instanceof RedisError)) throw error;
    if (error.reply === "READONLY") this.#renew();
    if (!error.repeatable || made > retry.retries || this.#down !== null) throw error;
    const longestMs = Math.min(retry.maxMs, retry.minMs * 2 ** (made - 1));
    if (!(await sleep(clock, longestMs * (0.5 + random.fraction() / 2), signal))) throw error;
  }

  /** Opens one more link for whoever needs it to himself, and ends it when the store is closed. */
  async extra(readMs: number): Promise<Link> {
    const link = await Link.open({ ...this.#options.link, readMs }, this.#leaving.signal);
    if (this.#leaving.signal.aborted) {
      link.close("closed");
      throw closedError();
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
    });
  }

  #reconnect(): void {
    const attempt = Link.open(this.#options.link, this.#leaving.signal);
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
    const failure = connectError(formatAddress(this.#options.link.address), error);
    if (this.#failures === 0) this.#options.log.warn("redis cannot be reached", { error: failure.message });
    this.#down = failure;
    const { clock, random } = this.#options;
    const longestMs = Math.min(RECONNECT_LONGEST_MS, RECONNECT_FIRST_MS * 2 ** this.#failures++);
    this.#timer = clock.after(longestMs * (0.5 + random.fraction() / 2), () => this.#reconnect());
  }

  /**
   * The server has become a replica: behind the same name there may be another master by now. The old link serves
   * reads until the new one stands, then answers what it was asked and ends.
   */
  #renew(): void {
    const { clock, log, link: options } = this.#options;
    const old = this.#current;
    if (old === null || clock.monotonicMs() - this.#renewedMs < RENEW_PAUSE_MS) return;
    this.#renewedMs = clock.monotonicMs();
    Link.open(options, this.#leaving.signal).then(
      (link) => {
        if (this.#leaving.signal.aborted || this.#current !== old) {
          link.close("closed");
          return;
        }
        this.#use(link);
        old.finish();
      },
      (error: unknown) => log.warn("redis is read-only and takes no new connection", { error: String(error) }),
    );
  }

  #tooLate(): RedisError {
    return new RedisError(
      "unavailable",
      `not connected to redis at ${formatAddress(this.#options.link.address)} yet: connecting takes too long`,
    );
  }
}
