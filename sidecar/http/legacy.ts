// What Dapr's first documents show and later releases dropped: retry options, option words and ETags in headers.
import type { IncomingHttpHeaders } from "node:http";
import { malformed } from "../state/errors.ts";
import type { OptionWords } from "../state/requests.ts";
import type { RetryPolicy } from "../state/retry.ts";

/** Longest pause between two attempts that a request may ask for, in milliseconds: all attempts end after a minute. */
export const RETRY_INTERVAL_MS_MAX = 60_000;

/**
 * A retry policy from its three parts (dapr-state-api.md 7.5; milliseconds, as the documents say). A threshold of 0 or
 * less means one attempt: null. Throws `malformed` for a pattern that is none.
 */
export function readRetryPolicy(intervalMs: number, pattern: string, threshold: number): RetryPolicy | null {
  if (pattern !== "" && pattern !== "linear" && pattern !== "exponential") {
    throw malformed(`options.retryPolicy.pattern: got "${pattern}", want "linear" or "exponential"`);
  }
  if (intervalMs < 0)
    throw malformed(
      `options.retryPolicy.interval: got ${intervalMs}, want milliseconds from 0 to ${RETRY_INTERVAL_MS_MAX}`,
    );
  if (threshold <= 0) return null;
  return { intervalMs, pattern: pattern === "exponential" ? "exponential" : "linear", threshold };
}

/** `retryInterval`, `retryPattern`, `retryThreshold` of a DELETE. What is no number counts as 0, as in Dapr 0.9. */
export function readQueryRetry(query: ReadonlyMap<string, string>): RetryPolicy | null {
  const threshold = wholeOrZero(query.get("retryThreshold"));
  if (threshold <= 0) return null;
  const intervalMs = Math.min(wholeOrZero(query.get("retryInterval")), RETRY_INTERVAL_MS_MAX);
  return readRetryPolicy(Math.max(intervalMs, 0), query.get("retryPattern") ?? "", threshold);
}

function wholeOrZero(text: string | undefined): number {
  return text !== undefined && /^-?\d{1,9}$/.test(text) ? Number(text) : 0;
}

const CONSISTENCY_WORDS: readonly (string | undefined)[] = ["strong", "eventual"];
const CONCURRENCY_WORDS: readonly (string | undefined)[] = ["first-write", "last-write"];

/** Option words from request headers, for what body and query leave open; unknown words there are no options of ours. */
export function withHeaderOptions(words: OptionWords, headers: IncomingHttpHeaders): OptionWords {
  if (headers.consistency === undefined && headers.concurrency === undefined) return words;
  return {
    consistency: words.consistency === "" ? known(headers.consistency, CONSISTENCY_WORDS) : words.consistency,
    concurrency: words.concurrency === "" ? known(headers.concurrency, CONCURRENCY_WORDS) : words.concurrency,
  };
}

function known(word: string | string[] | undefined, words: readonly (string | undefined)[]): string {
  return typeof word === "string" && words.includes(word) ? word : "";
}

/** An If-Match header as an ETag. One pair of quotes goes where no ETag of the store begins with one. */
export function etagFromHeader(header: string, mayBeQuoted: boolean): string {
  const quoted = header.length >= 2 && header.startsWith('"') && header.endsWith('"');
  return quoted && !mayBeQuoted ? header.slice(1, -1) : header;
}
