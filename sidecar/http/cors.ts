// Cross-origin requests (dapr-state-api.md 8.6): off unless origins are given; preflights are answered before the token
// is asked for, since browsers send them without it.
import type { Exchange } from "./exchange.ts";

const METHODS = "HEAD, GET, POST, PUT, PATCH, DELETE";
const ALL = "*";

/** Adds the headers for an allowed origin. True when the request was a preflight and is answered. */
export function answerCors(exchange: Exchange, allowedOrigins: readonly string[]): boolean {
  if (allowedOrigins.length === 0) return false;
  const { headers, method } = exchange.request;
  const { origin } = headers;
  const isPreflight = method === "OPTIONS" && headers["access-control-request-method"] !== undefined;
  exchange.share("Vary", "Origin");
  if (origin !== undefined) {
    const allowed = allowedOrigin(origin, allowedOrigins);
    if (allowed !== null) exchange.share("Access-Control-Allow-Origin", allowed);
    if (allowed !== null && isPreflight) sharePreflight(exchange, headers["access-control-request-headers"]);
  }
  if (isPreflight) exchange.send(200, [], "");
  return isPreflight;
}

function allowedOrigin(origin: string, allowedOrigins: readonly string[]): string | null {
  if (allowedOrigins.includes(ALL)) return ALL;
  return allowedOrigins.includes(origin) ? origin : null;
}

function sharePreflight(exchange: Exchange, wantedHeaders: string | undefined): void {
  exchange.share("Access-Control-Allow-Methods", METHODS);
  if (wantedHeaders !== undefined) exchange.share("Access-Control-Allow-Headers", wantedHeaders);
}
