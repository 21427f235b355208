// The API token (dapr-state-api.md 8.5): header `dapr-api-token`, compared in constant time.
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** Whether a request to a route's pattern may pass. */
export type TokenCheck = (request: IncomingMessage, pattern: string) => boolean;

const EXEMPT: ReadonlySet<string> = new Set(["/v1.0/healthz", "/v1.0/healthz/outbound"]);

/** A check for one expected token. Health is exempt: probes have no token. */
export function createTokenCheck(token: string): TokenCheck {
  const expected = digest(Buffer.from(token));
  return (request, pattern) => {
    if (EXEMPT.has(pattern)) return true;
    const given = request.headers["dapr-api-token"];
    // Node gives header bytes as Latin-1, whatever they stand for. Digests have one length, which timingSafeEqual asks for, and hide how long the token is.
    return typeof given === "string" && timingSafeEqual(digest(Buffer.from(given, "latin1")), expected);
  };
}

function digest(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest();
}
