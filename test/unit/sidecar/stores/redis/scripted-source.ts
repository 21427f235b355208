// Who gives tokens in tests: as many as are wanted, each with its number, on a clock that the test moves.
import { RedisError } from "#sidecar/stores/redis/errors.ts";
import type { Token, TokenSource } from "#sidecar/stores/redis/renewed-token.ts";
import type { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";

const HOUR_MS = 3_600_000;

/** Gives "token-1", "token-2" and so on, unless it is told to fail or to be silent. */
export class ScriptedSource implements TokenSource {
  readonly name: string = "https://login.example.com/token";
  readonly #clock: ManualClock;
  /** The passwords, in order. */
  readonly refusals: string[] = [];
  asked: number = 0;
  lifeMs: number = HOUR_MS;
  /** "repeats": the token that it gave last is given once more. */
  mood: "gives" | "repeats" | "fails" | "is silent" = "gives";
  #given = 0;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  async next(signal: AbortSignal): Promise<Token> {
    this.asked++;
    if (this.mood === "fails") throw new RedisError("unavailable", "no token: it answered 500");
    if (this.mood === "is silent")
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("left"))));
    if (this.mood === "gives") this.#given = this.asked;
    return { username: "app", password: `token-${this.#given}`, endsAtMs: this.#clock.nowMs() + this.lifeMs };
  }

  refused({ password }: Token): string {
    this.refusals.push(password);
    return "the token; check everything";
  }
}
