// What Dapr's first documents show and later releases dropped: retry options, option words and ETags in headers.
import type { IncomingHttpHeaders } from "node:http";
import { malformed } from "../state/errors.ts";
import type { OptionWords } from "../state/requests.ts";
import type { RetryPolicy } from "../state/retry.ts";
import type { Traits } from "../stores/store.ts";

/** Longest pause between two attempts that a request may ask for, in milliseconds: all attempts end after a minute. */
export const RETRY_INTERVAL_MS_MAX = 60_000;

/** The three parts of a retry policy as a request gives them. */
export interface RetryParts {
  readonly intervalMs: number;
  readonly pattern: string;
  readonly threshold: number;
}

/**
 * A retry policy from its three parts (dapr-state-api.md 7.5; milliseconds, as the documents say). A threshold of 0 or
 * less means one attempt: null. Throws `malformed` for a pattern that is none and an interval below 0; `names` are those
 * of the two members or parameters.
 */
export function readRetryPolicy(parts: RetryParts, names: { interval: string; pattern: string }): RetryPolicy | null {
  const { intervalMs, pattern, threshold } = parts;
  if (pattern !== "" && pattern !== "linear" && pattern !== "exponential") {
    throw malformed(`${names.pattern}: got ${JSON.stringify(pattern)}, want "linear" or "exponential"`);
  }
  if (intervalMs < 0) {
    throw malformed(`${names.interval}: got ${intervalMs}, want milliseconds from 0 to ${RETRY_INTERVAL_MS_MAX}`);
  }
  if (threshold <= 0) return null;
  return { intervalMs, pattern: pattern === "exponential" ? "exponential" : "linear", threshold };
}

/** `retryInterval`, `retryPattern`, `retryThreshold` of a DELETE. What is no number counts as 0, as in Dapr 0.9. */
export function readQueryRetry(query: ReadonlyMap<string, string>): RetryPolicy | null {
  const threshold = wholeOrZero(query.get("retryThreshold"));
  if (threshold <= 0) return null;
  const intervalMs = Math.min(wholeOrZero(query.get("retryInterval")), RETRY_INTERVAL_MS_MAX);
  const parts = { intervalMs: Math.max(intervalMs, 0), pattern: query.get("retryPattern") ?? "", threshold };
  return readRetryPolicy(parts, { interval: "retryInterval", pattern: "retryPattern" });
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

interface Conditional {
  readonly etag: string;
}

/**
 * An update may carry its ETag in If-Match, as Dapr's first documents say: one item, and only when it has none itself.
 * Throws `malformed` for several items.
 */
export function withIfMatch<Item extends Conditional>(
  items: readonly Item[],
  headers: IncomingHttpHeaders,
  { etagMayBeQuoted }: Pick<Traits, "etagMayBeQuoted">,
): readonly Item[] {
  const header = headers["if-match"];
  if (header === undefined || header === "" || items.length === 0) return items;
  if (items.length > 1) {
    throw malformed(
      `header If-Match: got it with ${items.length} items, want one item; put each item's own "etag" into the body`,
    );
  }
  return items.map((item) => (item.etag === "" ? { ...item, etag: etagFromHeader(header, etagMayBeQuoted) } : item));
}
