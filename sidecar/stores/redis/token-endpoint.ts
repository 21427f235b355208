// Asks an OAuth token endpoint for an access token (RFC 6749 4.4): one POST on a connection of its own, with limits on
// time and size. Knows not who asks. Nothing of what was sent or answered comes into an error but a status and the
// words that the standards know.
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { getCACertificates } from "node:tls";
import type { Clock } from "#kit/clock.ts";
import { certificateCause } from "#kit/connect-cause.ts";
import { closedError, RedisError } from "./errors.ts";

export interface TokenEndpoint {
  readonly url: URL;
  /** PEM text of authorities that are trusted besides those of Node; empty: none. */
  readonly authorities: string;
  readonly clock: Clock;
}

export interface AccessToken {
  readonly text: string;
  /** From the moment of the question. */
  readonly lifeMs: number;
}

/** Longest for the whole of it: connecting, TLS, the answer to its last byte. Within the usual initTimeout, which names nobody. */
const ANSWER_MS_MAX = 4_000;
const ANSWER_BYTES_MAX = 65_536;
/** Of a token whose endpoint does not say how long it is good, which RFC 6749 5.1 allows. */
const LIFE_SEC_UNTOLD = 60;
/** A life that is told as longer counts as this: no sum of times gets out of hand. */
const LIFE_SEC_MAX = 31_536_000;

/** RFC 6749 5.2 and RFC 8707 2: what an endpoint may answer for a reason. Any other word may be anything. */
const REASONS: ReadonlySet<unknown> = new Set([
  "invalid_request",
  "invalid_client",
  "invalid_grant",
  "unauthorized_client",
  "unsupported_grant_type",
  "invalid_scope",
  "invalid_target",
]);

/** As it stands in errors and logs: without a query, and without the user that a URL may hold. */
export function endpointName({ url }: Pick<TokenEndpoint, "url">): string {
  return `${url.origin}${url.pathname}`;
}

/** Sends the form and gives the token. Rejects with a RedisError; with `closed` when `signal` aborts first. */
export async function askForToken(
  endpoint: TokenEndpoint,
  form: URLSearchParams,
  signal: AbortSignal,
): Promise<AccessToken> {
  const { status, body } = await post(endpoint, form.toString(), signal);
  const answer = parsed(body);
  if (status < 200 || status > 299) {
    const reason = memberOf(answer, "error");
    throw noToken(endpoint, `it answered ${status}${REASONS.has(reason) ? ` (${reason})` : ""}`);
  }
  if (answer === null) throw noToken(endpoint, "its answer is no JSON object");
  const text = memberOf(answer, "access_token");
  if (typeof text !== "string" || text === "") throw noToken(endpoint, "its answer has no access_token");
  const told = memberOf(answer, "expires_in") ?? LIFE_SEC_UNTOLD;
  // Some endpoints write the number as text.
  const lifeSec = typeof told === "string" ? Number(told) : told;
  if (typeof lifeSec !== "number" || !(lifeSec >= 1))
    throw noToken(endpoint, "the expires_in of its answer is no number of seconds from 1");
  return { text, lifeMs: Math.min(lifeSec, LIFE_SEC_MAX) * 1000 };
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

async function post(endpoint: TokenEndpoint, body: string, signal: AbortSignal): Promise<Answer> {
  const limit = new AbortController();
  const timer = endpoint.clock.after(ANSWER_MS_MAX, () => limit.abort());
  try {
    return await exchange(endpoint, body, AbortSignal.any([signal, limit.signal]));
  } catch (error) {
    if (signal.aborted) throw closedError();
    if (limit.signal.aborted) throw noToken(endpoint, `no answer within ${ANSWER_MS_MAX / 1000} s`);
    throw error instanceof RedisError ? error : noToken(endpoint, causeOf(error));
  } finally {
    timer.cancel();
  }
}

function exchange(endpoint: TokenEndpoint, body: string, signal: AbortSignal): Promise<Answer> {
  const { url } = endpoint;
  const isSecure = url.protocol === "https:";
  const headers = {
    accept: "application/json",
    "content-type": "application/x-www-form-urlencoded",
    "content-length": Buffer.byteLength(body),
  };
  // No agent: a connection is used once in an hour.
  const options: RequestOptions = { method: "POST", headers, agent: false, signal };
  return new Promise((resolve, reject) => {
    const take = (response: IncomingMessage): void => {
      readAll(response).then((bytes) => {
        if (bytes === null) reject(noToken(endpoint, `its answer is longer than ${ANSWER_BYTES_MAX} bytes`));
        else resolve({ status: response.statusCode ?? 0, body: bytes });
      }, reject);
    };
    const request = isSecure
      ? httpsRequest(url, { ...options, ...trusting(endpoint.authorities) }, take)
      : httpRequest(url, options, take);
    request.on("error", reject);
    request.end(body);
  });
}

function trusting(authorities: string): { readonly ca?: string[] } {
  return authorities === "" ? {} : { ca: [...getCACertificates("default"), authorities] };
}

/** Null when it is too long; the connection has ended then. */
async function readAll(response: IncomingMessage): Promise<Buffer | null> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response) {
    bytes += part.length;
    // Leaving the loop ends the connection.
    if (bytes > ANSWER_BYTES_MAX) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Null for what is no JSON, or no object. */
function parsed(body: Buffer): object | null {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === "object" ? value : null;
  } catch {
    // Its words quote the text.
    return null;
  }
}

function memberOf(answer: object | null, name: string): unknown {
  return answer === null ? undefined : Reflect.get(answer, name);
}

function noToken(endpoint: TokenEndpoint, why: string): RedisError {
  const text = `no token to sign in at redis with from ${endpointName(endpoint)} (oidcTokenEndpoint): ${why}`;
  return new RedisError("unavailable", text);
}

/** The system's and OpenSSL's codes, and what a code of a certificate means. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return "the connection failed";
  const certificate = certificateCause(error.message);
  if (certificate !== null) return `${certificate}; oidcCACert holds an authority to trust`;
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
