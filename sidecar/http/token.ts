// The API token (dapr-state-api.md 8.5): header `dapr-api-token`, compared in constant time.
import { secretCheck } from "#kit/secret-check.ts";
import type { HttpRequest } from "./message.ts";

/** Whether a request to a route's pattern may pass. */
export type TokenCheck = (request: HttpRequest, pattern: string) => boolean;

const EXEMPT: ReadonlySet<string> = new Set(["/v1.0/healthz", "/v1.0/healthz/outbound"]);

/** A check for one expected token. Health is exempt: probes have no token. */
export function createTokenCheck(token: string): TokenCheck {
  const isExpected = secretCheck(Buffer.from(token));
  return (request, pattern) => {
    if (EXEMPT.has(pattern)) return true;
    const given = request.headers["dapr-api-token"];
    // Node gives header bytes as Latin-1, whatever they stand for.
    return typeof given === "string" && isExpected(Buffer.from(given, "latin1"));
  };
}
