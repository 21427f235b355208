// The API token over gRPC (dapr-state-api.md 8.5): metadata `dapr-api-token`, compared in constant time.
import { secretCheck } from "#kit/secret-check.ts";
import { refusal } from "./errors.ts";
import type { CallMetadata } from "./method.ts";

/** Throws Unauthenticated for a call that may not pass. */
export type TokenCheck = (metadata: CallMetadata) => void;

const NAME = "dapr-api-token";

export function createTokenCheck(token: string): TokenCheck {
  const isExpected = secretCheck(Buffer.from(token));
  return (metadata) => {
    const given = metadata.get(NAME);
    if (given === undefined) throw unauthorized("missing api token in request metadata");
    if (!isExpected(Buffer.from(given))) throw unauthorized("authentication error: api token mismatch");
  };
}

function unauthorized(error: string): Error {
  return refusal("Unauthenticated", "Unauthorized", { code: 401, error });
}
