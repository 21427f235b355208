// A token as password: kept, renewed before it ends, and told to the links that stand. One that cannot be renewed ends
// nothing that works. Knows neither who gives tokens nor what a link does with one.
import { assert } from "#kit/assert.ts";
import type { Clock, Timer } from "#kit/clock.ts";
import { unlessLeft } from "#kit/leaving.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { Credentials, SignIn } from "./credentials.ts";
import { closedError, RedisError } from "./errors.ts";

export interface Token extends SignIn {
  /** By the wall clock. */
  readonly endsAtMs: number;
}

export interface TokenSource {
  /** Who gives them: "Microsoft Entra ID". */
  readonly name: string;
  /** Asks for one. Rejects with a RedisError that names the cause, and holds no secret. */
  next(signal: AbortSignal): Promise<Token>;
  /** A server refused it; gives what it was and what to look at, to stand behind "refused". */
  refused(token: Token): string;
}

export interface RenewedTokenOptions {
  readonly source: TokenSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A token is renewed so long before its end, one that is not good for twice as long at half of its time … */
const EARLY_MS = 300_000;
/** … and nobody is asked more often than this, whatever a token says of its end (both dapr-state-stores.md 2a). */
const PAUSE_MS = 5_000;
/** A token that is good for longer is renewed nevertheless. */
const RENEWAL_MS_MAX = 86_400_000;
/** Longest pause before another attempt at what has failed. */
const AGAIN_MS_MAX = 60_000;

interface Follower {
  readonly server: string;
  password: string;
  readonly signInAgain: (next: SignIn) => Promise<void>;
}

interface Held {
  readonly token: Token;
  /** Those that take another one sooner. What one server refuses may be good at the next, and at the same one later. */
  readonly refusedBy: Set<string>;
  /** A refusal of it counts as one failure, however many links hear it. */
  hasFailed: boolean;
}

export class RenewedToken implements Credentials {
  readonly #options: RenewedTokenOptions;
  readonly #leaving = new AbortController();
  readonly #followers = new Set<Follower>();
  #newest: Held | null = null;
  /** One from before: signs in where the newest is refused, as one is that a server does not know yet. */
  #former: Held | null = null;
  /** One question for all that wait for its answer; it never rejects. */
  #asking: Promise<void> | null = null;
  #askedMs = Number.NEGATIVE_INFINITY;
  /** Why there was no answer to the last one; null when there was. */
  #failure: RedisError | null = null;
  /** How often in a row a renewal has come to nothing. */
  #failures = 0;
  #timer: Timer | null = null;
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(options: RenewedTokenOptions) {
    this.#options = options;
  }

  async current(server: string, signal: AbortSignal): Promise<SignIn> {
    const held = this.#good().find(({ refusedBy }) => !refusedBy.has(server));
    return held?.token ?? unlessLeft(this.#another(), signal, closedError);
  }

  follow(server: string, used: SignIn, signInAgain: (next: SignIn) => Promise<void>): () => void {
    const follower = { server, password: used.password, signInAgain };
    this.#held()
      .find(({ token }) => token.password === used.password)
      ?.refusedBy.delete(server);
    this.#followers.add(follower);
    void this.#tell([follower]);
    return () => void this.#followers.delete(follower);
  }

  refused(server: string, signIn: SignIn): string | null {
    const { source } = this.#options;
    const held = this.#held().find(({ token }) => token.password === signIn.password);
    held?.refusedBy.add(server);
    return held !== undefined && held === this.#newest
      ? source.refused(held.token)
      : `an older token of ${source.name}`;
  }

  close(): void {
    this.#leaving.abort();
    this.#timer?.cancel();
  }

  /** The newest first. */
  #held(): readonly Held[] {
    return [this.#newest, this.#former].filter((held) => held !== null);
  }

  /** Of those the ones that have not ended. */
  #good(): readonly Held[] {
    const nowMs = this.#options.clock.nowMs();
    return this.#held().filter(({ token }) => token.endsAtMs > nowMs);
  }

  /**
   * In place of one that has ended or was refused. What has just failed is not tried again for everybody who asks; where
   * no other can be had, one that was refused is tried once more, for the server may take it by now.
   */
  async #another(): Promise<Token> {
    const isTime = this.#options.clock.monotonicMs() - this.#askedMs >= PAUSE_MS;
    if (this.#asking !== null || isTime) await this.#ask();
    if (this.#leaving.signal.aborted) throw closedError();
    const good = this.#failure === null ? this.#newest : this.#good()[0];
    // That of an answer is given out whenever it ends: some are good for no time at all.
    if (good !== null && good !== undefined) return good.token;
    assert(this.#failure !== null, "who was asked gave a token, or failed");
    throw this.#failure;
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#question().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #question(): Promise<void> {
    const { source, clock } = this.#options;
    const { signal } = this.#leaving;
    this.#unplan();
    if (signal.aborted) return;
    this.#askedMs = clock.monotonicMs();
    try {
      const token = await source.next(signal);
      if (!signal.aborted) this.#take(token);
    } catch (error) {
      if (!signal.aborted) this.#miss(error);
    }
  }

  #take(token: Token): void {
    const before = this.#newest;
    const isSame = before?.token.password === token.password;
    // One that was taken everywhere, rather than a later one that was not.
    if (!isSame && (before?.refusedBy.size === 0 || !this.#good().some((held) => held === this.#former)))
      this.#former = before;
    this.#newest = { token, refusedBy: isSame ? before.refusedBy : new Set(), hasFailed: false };
    this.#failure = null;
    const leftMs = token.endsAtMs - this.#options.clock.nowMs();
    this.#plan(Math.min(RENEWAL_MS_MAX, Math.max(PAUSE_MS, leftMs - EARLY_MS, leftMs / 2)));
    void this.#tell([...this.#followers]);
  }

  #miss(error: unknown): void {
    const { name } = this.#options.source;
    this.#failure =
      error instanceof RedisError
        ? error
        : new RedisError("unavailable", `${name} gives no token to sign in at redis with`, { cause: error });
    // Without a token there is nothing to renew: whoever needs the first one asks again.
    if (this.#newest !== null) this.#again(this.#failure);
  }

  /** Signs in the links that have another one. A link that ends meanwhile needs it no more, and is replaced with it. */
  async #tell(followers: readonly Follower[]): Promise<void> {
    const newest = this.#newest;
    if (newest === null || this.#leaving.signal.aborted) return;
    const { token } = newest;
    const behind = followers.filter(({ password }) => password !== token.password);
    const outcomes = await Promise.allSettled(behind.map((follower) => signInAgain(follower, newest)));
    if (this.#leaving.signal.aborted || this.#newest !== newest) return;
    const refusal = outcomes.map(refusalIn).find((error) => error !== null);
    if (refusal === undefined) this.#recover(newest);
    else if (!newest.hasFailed) {
      newest.hasFailed = true;
      this.#again(refusal);
    }
  }

  #again(error: RedisError): void {
    const { log, random, source, clock } = this.#options;
    if (this.#failures === 0)
      log.warn("redis: a token cannot be renewed", { source: source.name, error: error.message });
    const longestMs = Math.min(AGAIN_MS_MAX, PAUSE_MS * 2 ** this.#failures++);
    const pauseMs = longestMs * (1 + random.fraction() / 2);
    if (clock.monotonicMs() + pauseMs < this.#dueMs) this.#plan(pauseMs);
  }

  /** Once every link has the newest, and every server that refused it has taken it since. */
  #recover({ token, refusedBy }: Held): void {
    if (this.#failures === 0 || this.#failure !== null || refusedBy.size > 0) return;
    if ([...this.#followers].some(({ password }) => password !== token.password)) return;
    this.#failures = 0;
    this.#options.log.info("redis: tokens are renewed again", { source: this.#options.source.name });
  }

  #plan(delayMs: number): void {
    const { clock } = this.#options;
    this.#unplan();
    this.#dueMs = clock.monotonicMs() + delayMs;
    this.#timer = clock.after(delayMs, () => void this.#ask());
  }

  #unplan(): void {
    this.#timer?.cancel();
    this.#dueMs = Number.POSITIVE_INFINITY;
  }
}

async function signInAgain(follower: Follower, { token, refusedBy }: Held): Promise<void> {
  await follower.signInAgain(token);
  follower.password = token.password;
  refusedBy.delete(follower.server);
}

/** What a server answered to the token, or null when it took it or gave no answer. */
function refusalIn(outcome: PromiseSettledResult<void>): RedisError | null {
  if (outcome.status === "fulfilled") return null;
  return outcome.reason instanceof RedisError && outcome.reason.reply !== null ? outcome.reason : null;
}
