// Sends requests to DynamoDB by Amazon's client: gives each call its time, tries again what that can mend, ends all at
// close. Knows no request and no item.
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { type Clock, sleep } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import type { Call, StoreErrorCode } from "../store.ts";
import {
  closedError,
  credentialsError,
  crowdedError,
  type DynamoError,
  type Ending,
  endedError,
  failureOf,
  leftError,
  type Sent,
} from "./failures.ts";

export interface ClientParts {
  /** Its own retries are off: what may be sent again is decided here, by what it would do. */
  readonly sdk: DynamoDBClient;
  readonly clock: Clock;
  readonly random: Random;
}

/** One attempt of a request. */
type Request<T> = (sdk: DynamoDBClient, abortSignal: AbortSignal) => Promise<T>;

/** The codes of a write that leave open whether it was made. */
const OPEN_CODES: ReadonlySet<StoreErrorCode> = new Set(["unknown-outcome", "timeout"]);

/** Longest that one attempt waits for its answer, and that all attempts of a call take together. */
const ATTEMPT_MS = 5_000;
const CALL_MS = 10_000;
const ATTEMPTS_MAX = 8;
/** The pause before the second attempt, and the longest; each is cut by chance, so that callers do not come together. */
const PAUSE_FIRST_MS = 50;
const PAUSE_LONGEST_MS = 2_000;
/** Calls that wait for their answers, or for one of the connections; more are refused at once. */
const CALLS_MAX = 16_384;

export class Client {
  readonly #parts: ClientParts;
  readonly #attempts = new Set<(ending: Ending) => void>();
  readonly #leaving = new AbortController();

  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  /** Gives the answer. Rejects with a DynamoError; a write that may have been made is repeated only where it says so. */
  async run<T>(request: Request<T>, sent: Sent, { signal }: Call): Promise<T> {
    const { clock } = this.#parts;
    const endMs = clock.monotonicMs() + CALL_MS;
    let doubt: DynamoError | null = null;
    for (let made = 1; ; made++) {
      try {
        return await this.#attempt(request, sent, signal, endMs - clock.monotonicMs());
      } catch (error) {
        const failure = failureOf(error, sent);
        // Once an attempt may have written, only success tells otherwise.
        if (sent.effect !== "read" && OPEN_CODES.has(failure.code)) doubt ??= failure;
        const pauseMs = this.#pauseMs(made);
        if (!failure.again || made === ATTEMPTS_MAX || clock.monotonicMs() + pauseMs >= endMs) throw doubt ?? failure;
        if (await sleep(clock, pauseMs, AbortSignal.any([signal, this.#leaving.signal]))) continue;
        throw doubt ?? (this.#leaving.signal.aborted ? closedError() : failure);
      }
    }
  }

  /** Waits as before the attempt after so many. Rejects with a DynamoError when the caller leaves or the store is closed. */
  async pause(made: number, sent: Sent, { signal }: Call): Promise<void> {
    const either = AbortSignal.any([signal, this.#leaving.signal]);
    if (await sleep(this.#parts.clock, this.#pauseMs(made), either)) return;
    throw endedError(this.#leaving.signal.aborted ? "closed" : "left", sent, false);
  }

  /** Ends everything at once: calls under way reject. May be called again. */
  close(): void {
    this.#leaving.abort();
    for (const end of this.#attempts) end("closed");
    this.#parts.sdk.destroy();
  }

  #pauseMs(made: number): number {
    const longestMs = Math.min(PAUSE_LONGEST_MS, PAUSE_FIRST_MS * 2 ** (made - 1));
    return longestMs * (1 - this.#parts.random.fraction() / 2);
  }

  async #attempt<T>(request: Request<T>, sent: Sent, signal: AbortSignal, leftMs: number): Promise<T> {
    const { sdk, clock } = this.#parts;
    if (this.#leaving.signal.aborted) throw closedError();
    if (signal.aborted) throw leftError();
    if (this.#attempts.size >= CALLS_MAX) throw crowdedError(CALLS_MAX, sent);
    const controller = new AbortController();
    let isOut = false;
    const ended = new Promise<never>((_resolve, reject) => {
      controller.signal.addEventListener("abort", () => reject(controller.signal.reason), { once: true });
    });
    const end = (ending: Ending): void => controller.abort(endedError(ending, sent, isOut));
    const leave = (): void => end("left");
    signal.addEventListener("abort", leave, { once: true });
    this.#attempts.add(end);
    const timer = clock.after(Math.min(ATTEMPT_MS, leftMs), () => end("late"));
    try {
      // The SDK fetches keys whoever has left meanwhile, and keeps them; the race is what ends in time.
      await Promise.race([keysOf(sdk, sent), ended]);
      isOut = true;
      return await Promise.race([request(sdk, controller.signal), ended]);
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", leave);
      this.#attempts.delete(end);
    }
  }
}

/** Has the keys fetched before they are needed, so that what goes wrong there is not taken for an answer of DynamoDB's. */
async function keysOf({ config }: DynamoDBClient, sent: Sent): Promise<void> {
  try {
    await config.credentials();
  } catch (error) {
    throw credentialsError(error, sent);
  }
}
