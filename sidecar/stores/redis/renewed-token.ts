// A token as password: kept, renewed before it ends, and told to the links that stand. One that cannot be renewed ends
// nothing that works. Knows neither who gives tokens nor what a link does with one.
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
  password: string;
  readonly signInAgain: (next: SignIn) => Promise<void>;
}

export class RenewedToken implements Credentials {
  readonly #options: RenewedTokenOptions;
  readonly #leaving = new AbortController();
  readonly #followers = new Set<Follower>();
  #token: Token | null = null;
  #isRefused = false;
  /** The one before, which no server has refused: signs in while the newest is refused, as one does that nobody knows yet. */
  #former: Token | null = null;
  /** One question for all that wait for its answer. */
  #asking: Promise<Token> | null = null;
  #askedMs = Number.NEGATIVE_INFINITY;
  /** Why there was no answer to the last one; null when there was. */
  #failure: RedisError | null = null;
  /** How often in a row a renewal has come to nothing. */
  #failures = 0;
  #timer: Timer | null = null;

  constructor(options: RenewedTokenOptions) {
    this.#options = options;
  }

  async current(signal: AbortSignal): Promise<SignIn> {
    const token = this.#isRefused ? this.#former : this.#token;
    if (token !== null && token.endsAtMs > this.#options.clock.nowMs()) return token;
    return unlessLeft(this.#another(), signal, closedError);
  }

  follow(used: SignIn, signInAgain: (next: SignIn) => Promise<void>): () => void {
    const follower = { password: used.password, signInAgain };
    this.#followers.add(follower);
    void this.#tell([follower]);
    return () => void this.#followers.delete(follower);
  }

  refused(signIn: SignIn): string | null {
    const token = this.#token;
    if (token === null || token.password !== signIn.password) {
      if (this.#former?.password === signIn.password) this.#former = null;
      return `an older token of ${this.#options.source.name}`;
    }
    this.#isRefused = true;
    return this.#options.source.refused(token);
  }

  close(): void {
    this.#leaving.abort();
    this.#timer?.cancel();
    this.#followers.clear();
  }

  /** In place of one that has ended or was refused. What has just failed is not tried again for everybody who asks. */
  #another(): Promise<Token> {
    if (this.#leaving.signal.aborted) return Promise.reject(closedError());
    if (this.#asking !== null) return this.#asking;
    if (this.#options.clock.monotonicMs() - this.#askedMs >= PAUSE_MS) return this.#ask();
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return this.#token === null ? this.#ask() : Promise.resolve(this.#token);
  }

  #ask(): Promise<Token> {
    const { source, clock } = this.#options;
    this.#timer?.cancel();
    this.#askedMs = clock.monotonicMs();
    this.#asking = source
      .next(this.#leaving.signal)
      .then(
        (token) => this.#take(token),
        (error: unknown) => Promise.reject(this.#miss(error)),
      )
      .finally(() => {
        this.#asking = null;
      });
    return this.#asking;
  }

  #take(token: Token): Token {
    if (this.#leaving.signal.aborted) throw closedError();
    if (this.#token?.password !== token.password) {
      if (!this.#isRefused) this.#former = this.#token;
      this.#isRefused = false;
    }
    this.#token = token;
    this.#failure = null;
    const leftMs = token.endsAtMs - this.#options.clock.nowMs();
    this.#plan(Math.min(RENEWAL_MS_MAX, Math.max(PAUSE_MS, leftMs - EARLY_MS, leftMs / 2)));
    void this.#tell([...this.#followers]);
    return token;
  }

  #miss(error: unknown): RedisError {
    if (this.#leaving.signal.aborted) return closedError();
    const { name } = this.#options.source;
    this.#failure =
      error instanceof RedisError
        ? error
        : new RedisError("unavailable", `${name} gives no token to sign in at redis with`, { cause: error });
    // Without a token there is nothing to renew: whoever needs the first one asks again.
    if (this.#token !== null) this.#again(this.#failure);
    return this.#failure;
  }

  /** Signs in the links that have another one. A link that ends meanwhile needs it no more, and is replaced with it. */
  async #tell(followers: readonly Follower[]): Promise<void> {
    const token = this.#token;
    if (token === null) return;
    const behind = followers.filter(({ password }) => password !== token.password);
    const outcomes = await Promise.allSettled(behind.map((follower) => signInAgain(follower, token)));
    if (this.#leaving.signal.aborted || this.#token !== token) return;
    const refusal = outcomes.map(refusalIn).find((error) => error !== null);
    if (refusal !== undefined) return this.#again(refusal);
    if (this.#failures > 0 && this.#failure === null && !this.#isRefused) this.#recover();
  }

  #again(error: RedisError): void {
    const { log, random, source } = this.#options;
    if (this.#failures === 0)
      log.warn("redis: a token cannot be renewed", { source: source.name, error: error.message });
    const pauseMs = Math.min(AGAIN_MS_MAX, PAUSE_MS * 2 ** this.#failures++);
    this.#plan(pauseMs * (1 + random.fraction() / 2));
  }

  #recover(): void {
    this.#failures = 0;
    this.#options.log.info("redis: tokens are renewed again", { source: this.#options.source.name });
  }

  #plan(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(delayMs, () => {
      // What comes of it was told where it failed.
      if (this.#asking === null) this.#ask().catch(() => undefined);
    });
  }
}

async function signInAgain(follower: Follower, token: Token): Promise<void> {
  await follower.signInAgain(token);
  follower.password = token.password;
}

/** What a server answered to the token, or null when it took it or gave no answer. */
function refusalIn(outcome: PromiseSettledResult<void>): RedisError | null {
  if (outcome.status === "fulfilled") return null;
  return outcome.reason instanceof RedisError && outcome.reason.reply !== null ? outcome.reason : null;
}
